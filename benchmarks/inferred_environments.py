"""
What `infer_environments` finds where the environments are known, and what training on it is worth.

    python benchmarks/inferred_environments.py splits    # a minute or two
    python benchmarks/inferred_environments.py train     # Colored MNIST, seeds 0 to 2; minutes on one core
    python benchmarks/inferred_environments.py text      # see `inferred_text.py`; `tables` prints its tables

The lines go to `docs/benchmarks/inferred_environments.jsonl`. The penalties of both models were chosen by a
look at the splits of seeds 0 and 1, so the splits here are those of seeds from 2 on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
import inferred_text
import numpy as np
import torch
from transformers import PrinterCallback, set_seed

from hf_metairm import ColoredMNIST, PunctuatedSST2, infer_environments
from hf_metairm.data import TensorRows
from hf_metairm.inference.infer import InferredEnvironments
from hf_metairm.inference.reference import draw_folds, features_of_texts, reference_logits
from hf_metairm.inference.split import eiil, slopes
from hf_metairm.models import ColoredMNISTClassifier, ColoredMNISTConfig
from hf_metairm.paper.image_tables import ERM, META_IRM
from hf_metairm.trainer import ALGORITHMS


OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "inferred_environments.jsonl"
TEXTS, IMAGES = ("noise_25", "clean", "vanilla_25", "vanilla"), ("binary", "grayscale")
TEST = (0.1, 0.2, 0.9)
# The settings of the paper's tables for small batches.
BATCH, STEPS = 512, 400
ROWS = {"erm": ERM.at(BATCH), "meta-irm": META_IRM.at(BATCH)}


def agreement(found: InferredEnvironments, truth: np.ndarray) -> float:
    """Share of rows that the split and two true groups put alike, whichever of them is called which."""
    same = float(((np.array(found.dataset[found.column][:]) == "against") == truth).mean())
    return max(same, 1 - same)


def text_split(config: str, seed: int) -> dict[str, Any]:
    """PunctuatedSST-2, bundled sentences."""
    builder = PunctuatedSST2(config, source="bundled", seed=seed)
    builder.download_and_prepare()
    rows = builder.as_dataset("train")
    label, mark = np.array(rows["label"][:]), np.array(rows["punctuation"][:])
    line = split("punctuated_sst2", config, seed, rows.remove_columns("environment"), rows["environment"][:])
    found = line.pop("found")
    if mark.any():
        line["agreement with mark != label"] = agreement(found, mark != np.array(["!", "."])[label])
    texts = rows["sentence"][:]
    if seed == SPLIT_SEEDS[0]:
        logits = reference_logits(features_of_texts(texts), label, draw_folds(texts, 0))
        published = by_adam(logits, torch.from_numpy(label), seed)
        line["published optimizer agrees"] = float((published == eiil(logits, torch.from_numpy(label))).float().mean())
    return line


def image_split(config: str, seed: int) -> dict[str, Any]:
    """Colored MNIST, bundled digits."""
    rows = colored_mnist(config, seed).as_tensors("train")
    line = split("colored_mnist", config, seed, pooled(rows), rows["environment"])
    found = line.pop("found")
    if config == "binary":
        line["agreement with color != label"] = agreement(found, (color_of(rows) != rows["labels"]).numpy())
    return line


def split(dataset: str, config: str, seed: int, rows: Any, environments: list[str]) -> dict[str, Any]:
    """One split and what its test says."""
    start = time.perf_counter()
    found = infer_environments("regression", rows)
    names = np.array(environments)
    return {
        "dataset": dataset,
        "config": config,
        "seed": seed,
        "rows": found.rows,
        "seconds": round(time.perf_counter() - start, 1),
        "agreement with the environments": agreement(found, names == names[0]),
        "reference": vars(found.held_out.reference),
        "kept": {name: vars(told) for name, told in found.held_out.kept.items()},
        "p_value": found.held_out.p_value,
        "found": found,
    }


def by_adam(logits: torch.Tensor, labels: torch.Tensor, seed: int) -> torch.Tensor:
    """The authors' optimizer: 10,000 steps of Adam at 1e-3 from random logits; `eiil`'s side is called true."""
    s = slopes(logits, labels)
    q = torch.randn(len(s), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    optimizer = torch.optim.Adam([q], lr=1e-3)
    for _ in range(10_000):
        share = q.sigmoid()
        loss = -((share * s).mean() ** 2 + ((1 - share) * s).mean() ** 2) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    first = q.detach() > 0
    return first if float(s[first].mean()) > 0 else ~first


def train(way: str, algorithm: str, rows: TensorRows, test: TensorRows, seed: int) -> dict[str, Any]:
    """One perceptron, and its accuracies."""
    trainer_class, config_class = ALGORITHMS[algorithm]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        args = config_class(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            max_steps=STEPS,
            per_device_eval_batch_size=10_000,
            max_grad_norm=0.0,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            dataloader_pin_memory=False,
            use_cpu=True,
            seed=seed,
            **ROWS[algorithm].fields,
        )
        set_seed(seed)
        model = ColoredMNISTClassifier(ColoredMNISTConfig())
        trainer = trainer_class(model, args, train_dataset=rows, eval_dataset=test)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        found = trainer.evaluate()
    accuracy = {f"p={p}": round(found[f"eval_p={p}_accuracy"], 4) for p in TEST}
    return {"way": way, "seed": seed, "test": accuracy, "seconds": round(time.perf_counter() - start)}


def colored_mnist(config: str, seed: int) -> ColoredMNIST:
    """Built."""
    builder = ColoredMNIST(config, source="bundled", seed=seed, test_environments=TEST)
    builder.download_and_prepare()
    return builder


def pooled(rows: TensorRows) -> TensorRows:
    """Without their environments."""
    return TensorRows({name: rows[name] for name in ("pixel_values", "labels")})


def color_of(rows: TensorRows) -> torch.Tensor:
    """The plane that is not empty."""
    return rows["pixel_values"].sum((2, 3)).argmax(1)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("splits", "train", "text", "tables"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--datasets", nargs="+", choices=inferred_text.SHOWN, default=list(inferred_text.SHOWN), help="Of text."
    )
    parser.add_argument("--source", help="Of text: the folder with the files of cad_imdb.")
    asked = parser.parse_args()
    datasets.disable_progress_bars()
    if asked.what == "text":
        return inferred_text.run(asked.datasets, asked.seeds, asked.source)
    if asked.what == "tables":
        return print(*inferred_text.tables(inferred_text.read(inferred_text.OUT)), sep="\n\n")
    if asked.what == "splits":
        for seed in SPLIT_SEEDS:
            for config in TEXTS:
                keep(text_split(config, seed))
            for config in IMAGES:
                keep(image_split(config, seed))
        return
    for seed in asked.seeds:
        builder = colored_mnist("binary", seed)
        rows, test = builder.as_tensors("train"), builder.as_tensors("test")
        inferred = infer_environments("regression", pooled(rows)).dataset
        keep(train("meta-irm, known environments", "meta-irm", rows, test, seed))
        keep(train("meta-irm, inferred environments", "meta-irm", inferred, test, seed))
        keep(train("erm", "erm", rows, test, seed))


SPLIT_SEEDS = (2, 3)


def keep(line: dict[str, Any]) -> None:
    """Add a line to the file."""
    print(json.dumps(line), flush=True)
    with open(OUT, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
