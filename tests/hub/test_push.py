"""From a dataset on the Hub to a published model and back, against the local Hub; and what happens when it fails."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys

import datasets
import pytest
import torch
from huggingface_hub import HfApi, ModelCard, metadata_load
from PIL import Image
from transformers import AutoTokenizer, ViTConfig, ViTForImageClassification, ViTImageProcessor
from typer.testing import CliRunner

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMConfig, MetaIRMTrainer
from hf_metairm.cards.push import push_folder
from hf_metairm.cli import app
from hf_metairm.models import (
    BagOfEmbeddingsClassifier,
    BagOfEmbeddingsConfig,
    ColoredMNISTClassifier,
    ColoredMNISTConfig,
    word_tokenizer,
)
from hf_metairm.models.text_classifier import choose_trainable, load_classifier

from ..faults import in_a_fork
from ..local_hub.in_process import forget_connections
from ..models.tiny import save_tiny_encoder


WORDS = ["a fine film", "a dull film", "what a joy", "what a bore"]

# A machine that has never seen this package: importing it fails.
ELSEWHERE = """
import json, sys
sys.modules["hf_metairm"] = None
import torch
from transformers import AutoTokenizer, pipeline
name, sentences = sys.argv[1], json.loads(sys.argv[2])
classify = pipeline("text-classification", model=name)
said = [found["label"] for found in classify(sentences)]
with torch.no_grad():
    tokens = AutoTokenizer.from_pretrained(name)(sentences, padding=True, return_tensors="pt")
    logits = classify.model(**tokens).logits
print("FOUND " + json.dumps({"labels": said, "logits": logits.double().tolist()}))
"""
CODE_FROM_THE_HUB = """
import json, sys
sys.modules["hf_metairm"] = None
import torch
from transformers import AutoModelForImageClassification
model = AutoModelForImageClassification.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
logits = model(pixel_values=torch.linspace(0, 1, 392).reshape(1, 2, 14, 14)).logits
print("FOUND " + json.dumps(logits.double().tolist()))
"""


def in_a_fresh_process(hub, code, *words):
    environment = {**os.environ, **hub.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("FOUND ")[1])


def reviews():
    rows = 24
    return datasets.Dataset.from_dict(
        {
            "sentence": [f"{WORDS[k % 4]} {'!' if k % 3 else '.'}" for k in range(3 * rows)],
            "label": [k % 2 for k in range(3 * rows)],
            "environment": [("rome", "paris", "berlin")[k % 3] for k in range(3 * rows)],
        }
    ).cast_column("label", datasets.ClassLabel(names=["negative", "positive"]))


def trained(encoder, data, folder, trainable="all", **options):
    """A Trainer that has trained two steps on two of the three environments and was evaluated on all of them."""
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    data = data.map(lambda row: tokenizer(row["sentence"]), remove_columns="sentence")
    args = MetaIRMConfig(
        str(folder),
        per_device_train_batch_size=8,
        max_steps=2,
        logging_steps=1,
        save_strategy="steps",
        save_steps=2,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        **options,
    )
    trainer = MetaIRMTrainer(
        choose_trainable(load_classifier(str(encoder), ["negative", "positive"]), trainable),
        args,
        processing_class=tokenizer,
        train_dataset=data.filter(lambda row: row["environment"] != "berlin"),
        eval_dataset=data,
    )
    trainer.train()
    trainer.evaluate()
    return trainer


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    """A trained folder with a card, which no test may change."""
    folder = tmp_path_factory.mktemp("trained")
    trainer = trained(encoder, reviews(), folder)
    trainer.save_model()
    trainer.create_model_card()
    return folder


def fingerprint(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_from_a_dataset_on_the_hub_to_a_model_that_loads_without_this_package(encoder, local_hub, tmp_path):
    reviews().push_to_hub(f"{local_hub.user}/reviews")
    data = datasets.load_dataset(f"{local_hub.user}/reviews", split="train", cache_dir=str(tmp_path / "cache"))
    trainer = trained(encoder, data, tmp_path / "model")
    trainer.save_model()
    trainer.create_model_card(dataset_tags=f"{local_hub.user}/reviews")

    name = f"{local_hub.user}/classifier"
    result = CliRunner().invoke(app, ["push", str(tmp_path / "model"), name, "--private"])
    assert result.exit_code == 0, result.output
    assert f"{name}/commit/" in result.output
    assert HfApi().model_info(name).private
    published = set(HfApi().list_repo_files(name))
    assert {"README.md", "results.json", "training_curves.png", "model.safetensors", "tokenizer.json"} <= published
    assert not any("checkpoint" in file or file == "training_args.bin" for file in published)

    card = ModelCard.load(name)
    card.validate()
    results = {found.dataset_split: found for found in card.data.eval_results}
    assert results.keys() == {"rome", "paris", "berlin"}
    assert f'model_id = "{name}"' in card.text, "whoever copies the lines loads this model"
    assert {*trainer.algorithm.tags, "meta-irm", "hf-metairm"} <= set(card.data.tags)

    found = in_a_fresh_process(local_hub, ELSEWHERE, name, json.dumps(WORDS))
    model = trainer.model.eval()
    with torch.no_grad():
        tokens = AutoTokenizer.from_pretrained(encoder)(WORDS, padding=True, return_tensors="pt")
        expected = model(**tokens).logits
    assert torch.equal(torch.tensor(found["logits"]).float(), expected), "bit for bit"
    assert found["labels"] == [model.config.id2label[int(k)] for k in expected.argmax(-1)]


def test_trainer_publishes_an_adapter_with_our_card(encoder, local_hub, tmp_path):
    from peft import PeftConfig

    name = f"{local_hub.user}/adapter"
    trainer = trained(encoder, reviews(), tmp_path / "lora", trainable="lora", hub_model_id=name)
    trainer.push_to_hub()
    assert PeftConfig.from_pretrained(name).peft_type == "LORA"
    card = ModelCard.load(name)
    card.validate()
    assert card.data.library_name == "peft"
    assert "berlin" in card.text
    assert {found.dataset_split for found in card.data.eval_results} == {"rome", "paris", "berlin"}
    assert not any("checkpoint" in file for file in HfApi().list_repo_files(name))


def snippet(name):
    """The card's code, as whoever copies it gets it; and it says what it predicted."""
    return re.search(r"```python\n(.*?)```", ModelCard.load(name).text, re.DOTALL)[1]


def run_snippet(hub, name, tmp_path, fresh):
    code = "import sys\nsys.modules['hf_metairm'] = None\n" + snippet(name)
    if not fresh:

        def run():
            forget_connections()
            os.chdir(tmp_path)
            exec(code, {"__name__": "__main__"})

        said = tmp_path / "said"
        assert in_a_fork(run, said) == 0, said.read_text()
        return said.read_text()
    environment = {**os.environ, **hub.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("kind", ["whole", "adapter", "words", "picture", "own pictures"])
def test_the_snippet_of_a_card_ends_in_a_prediction(kind, encoder, local_hub, tmp_path):
    name, processor = f"{local_hub.user}/{kind.replace(' ', '-')}", None
    names = {"num_labels": 2, "id2label": {0: "no way", 1: 'yes, "so"'}}
    if kind in ("whole", "adapter"):
        processor = AutoTokenizer.from_pretrained(encoder)
        model = choose_trainable(load_classifier(str(encoder), [*names["id2label"].values()]), "all")
        model = choose_trainable(model, "lora") if kind == "adapter" else model
    elif kind == "words":
        processor = word_tokenizer(WORDS)
        model = BagOfEmbeddingsClassifier(BagOfEmbeddingsConfig(len(processor), 8, 8, **names))
    elif kind == "picture":
        size = {"image_size": 8, "patch_size": 4, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        model, processor = (
            ViTForImageClassification(ViTConfig(**size, **names)),
            ViTImageProcessor(size={"height": 8, "width": 8}),
        )
        Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    else:
        model = ColoredMNISTClassifier(ColoredMNISTConfig(hidden_size=8, **names))
    args = EnvironmentConfig(str(tmp_path / "out"), report_to="none", use_cpu=True, hub_model_id=name)
    trainer = EnvironmentTrainer(model, args, processing_class=processor)
    trainer.save_model()
    trainer.create_model_card()
    push_folder(tmp_path / "out", name)
    # A process that knows our models does not need their code; of the others' this one may be a fork.
    said = run_snippet(local_hub, name, tmp_path, fresh=kind in ("words", "own pictures"))
    assert "no way" in said or 'yes, "so"' in said, said


def test_the_card_names_the_dataset_that_was_loaded_from_the_hub(encoder, local_hub, tmp_path):
    reviews().push_to_hub(f"{local_hub.user}/reviews")
    data = datasets.load_dataset(f"{local_hub.user}/reviews", split="train", cache_dir=str(tmp_path / "cache"))
    trainer = trained(encoder, data, tmp_path / "model")
    trainer.create_model_card()
    assert ModelCard.load(tmp_path / "model" / "README.md").data.datasets == [f"{local_hub.user}/reviews"]


def test_own_models_bring_their_code(local_hub, tmp_path):
    torch.manual_seed(0)
    model = ColoredMNISTClassifier(ColoredMNISTConfig(hidden_size=8)).eval()
    model.push_to_hub(f"{local_hub.user}/perceptron")
    found = in_a_fresh_process(local_hub, CODE_FROM_THE_HUB, f"{local_hub.user}/perceptron")
    with torch.no_grad():
        expected = model(pixel_values=torch.linspace(0, 1, 392).reshape(1, 2, 14, 14)).logits
    assert torch.equal(torch.tensor(found).float(), expected)
    # And where the package is imported, without trusting anybody's code.
    assert type(ColoredMNISTClassifier.from_pretrained(f"{local_hub.user}/perceptron")) is ColoredMNISTClassifier


@pytest.mark.parametrize("trouble", ["wrong token", "no rights", "another's repository", "server error", "no network"])
def test_a_failed_push_is_one_line_and_a_second_try_completes(trouble, folder, local_hub, monkeypatch):
    name, token, said = f"{local_hub.user}/model", None, ""
    if trouble == "wrong token":
        token, said = "hf_nobody", "hf auth login"
    elif trouble == "no rights":
        token, said = local_hub.read_token, "may not write"
    elif trouble == "another's repository":
        token, said = local_hub.outsider_token, "may not write"
    elif trouble == "server error":
        said = "failed with status 500"
        local_hub.fail_next("POST", "/commit/", status=500, times=None)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
    else:
        said = "cannot be reached"
        local_hub.cut_next("POST", "/api/repos/create", times=None)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
    before = fingerprint(folder)
    words = ["push", str(folder), name]
    result = CliRunner().invoke(app, words + (["--token", token] if token else []))
    assert result.exit_code == 1, result.output
    line = result.stderr.strip()
    assert line.startswith("Error: ")
    assert "\n" not in line
    assert said in line
    assert fingerprint(folder) == before

    local_hub.heal()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert fingerprint(folder) == before
    assert metadata_load(str(folder / "README.md"))["tags"] == ModelCard.load(name).data.tags


def test_what_is_no_published_model_is_refused(folder, tmp_path, local_hub):
    def refusal(*words):
        result = CliRunner().invoke(app, ["push", *map(str, words)])
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        return result.stderr

    assert "There is no folder" in refusal(tmp_path / "nowhere", "tester/model")
    assert "holds no model's weights" in refusal(tmp_path, "tester/model")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "holds no card" in refusal(tmp_path, "tester/model")
    assert "no name of a repository" in refusal(folder, "a/b/c")
    assert not local_hub.seen("POST", "/commit/")


def test_a_branch_of_its_own(folder, local_hub):
    name = f"{local_hub.user}/branched"
    push_folder(folder, name)
    push_folder(folder, name, revision="second")
    assert "model.safetensors" in HfApi().list_repo_files(name, revision="second")
