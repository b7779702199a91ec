# /// script
# requires-python = ">=3.10"
# dependencies = ["hf_metairm[demo]"]
#
# [tool.uv.sources]
# hf_metairm = { path = "..", editable = true }
# ///

"""
Your own data, cell by cell: a CSV file with a `site` column, looked at, trained on by ERM and by meta-IRM, tested in
every site, written up in a model card. Takes a minute or two on two CPU cores.

    uv run trainer_examples/own_data.py

Without uv it needs `pip install '.[demo]'`. Editors that know `# %%` run it as a notebook, and own_data.ipynb is a
shorter one.
"""

# %% A file as you may have one. Each site has a habit: how often its reviewers end a good review with "!".
import csv
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from datasets import concatenate_datasets, load_dataset
from transformers import pipeline, set_seed

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMConfig, MetaIRMTrainer, PunctuatedSST2
from hf_metairm.data import TensorRows
from hf_metairm.inspection import inspect_dataset
from hf_metairm.models import encode_sentences, encoder_skipped
from hf_metairm.models.reading import load_tokenizer
from hf_metairm.models.text_classifier import choose_trainable, load_classifier


FOLDER = Path("outputs/own_data")
HABIT = {"lisbon": 0.95, "oslo": 0.85, "prague": 0.75, "berlin": 0.1}  # P(the mark agrees with the label)
UNSEEN = "berlin"
ROWS = 600  # of each site

with PartialState().main_process_first():
    builder = PunctuatedSST2("vanilla", source="bundled")  # sentences of movie reviews, without final marks
    builder.download_and_prepare()
    sentences = builder.as_dataset("train").shuffle(seed=0).select(range(ROWS * len(HABIT)))
    draws = np.random.default_rng(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "reviews.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["text", "label", "site"])
        for k, row in enumerate(sentences):
            site = list(HABIT)[k % len(HABIT)]
            agrees = draws.random() < HABIT[site]
            table.writerow([f"{row['sentence']} {'!' if agrees == bool(row['label']) else '.'}", row["label"], site])
    reviews = load_dataset("csv", data_files=str(FOLDER / "reviews.csv"))["train"]

# %% Look before you train: which cues differ between the sites that are trained on?
seen = reviews.filter(lambda row: row["site"] != UNSEEN)
report = inspect_dataset(seen, environment_column="site")
for share in report.environments:
    print(f"{share.name}: {share.rows} rows, labels {share.labels}")
for cue in report.differing:
    print(f"differs: {cue.column} {cue.what}: {cue.strength}")

# %% Hold out a fifth of these rows to test on, and all rows of the unseen site.
parts = seen.train_test_split(0.2, seed=0)
test = concatenate_datasets([parts["test"], reviews.filter(lambda row: row["site"] == UNSEEN)])

# %% A sentence encoder that stays as it is: encode every text once, and train the head on what comes out.
MODEL = "minilm"
LABELS = ["negative", "positive"]
tokenizer = load_tokenizer(MODEL)
outputs = encode_sentences(load_classifier(MODEL, LABELS), tokenizer, reviews["text"][:], max_length=64)


def encoded(rows):
    """The rows with the encoder's output in place of the text."""
    inputs = torch.stack([outputs[text] for text in rows["text"]])
    return TensorRows({"inputs_embeds": inputs, "labels": torch.tensor(rows["label"][:]), "site": rows["site"][:]})


train, test = encoded(parts["train"]), encoded(test)

# %% Train both on the same budget. A checkpoint is the whole model, an ordinary one.
BUDGET = {"environment_column": "site", "per_device_train_batch_size": 240, "max_steps": 100, "logging_steps": 10}
BUDGET |= {"learning_rate": 5e-4, "l2_regularization": 0.01, "max_grad_norm": 0, "per_device_eval_batch_size": 4096}
BUDGET |= {"save_strategy": "no", "report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False}
META = {"std_loss_weight": 100, "std_loss_momentum": 0.5, "penalty_anneal_steps": 5}
print(f"{'':10}" + "".join(f"{site:>10}" for site in HABIT) + "   accuracy; berlin was never trained on")
for name, trainer_class, config in (
    ("erm", EnvironmentTrainer, EnvironmentConfig(str(FOLDER / "erm"), **BUDGET)),
    ("meta-irm", MetaIRMTrainer, MetaIRMConfig(str(FOLDER / "meta-irm"), **BUDGET, **META)),
):
    set_seed(0)
    model = choose_trainable(load_classifier(MODEL, LABELS), "head")
    trainer = trainer_class(model, config, train_dataset=train, eval_dataset=test, processing_class=tokenizer)
    with encoder_skipped(model):
        trainer.train()
        found = trainer.evaluate()
    print(f"{name:10}" + "".join(f"{100 * found[f'eval_{site}_accuracy']:10.1f}" for site in HABIT))
    trainer.save_model()
    trainer.create_model_card(language="en", dataset="movie reviews of four sites")

# %% It reads text, and so does whoever loads it.
classify = pipeline("text-classification", model=str(FOLDER / "meta-irm"))
print(classify(["a moving story, well told .", "the plot goes nowhere !"]))
