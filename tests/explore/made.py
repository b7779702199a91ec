"""A folder as `hf-metairm train` leaves it, within a second: results written by the store, and tiny models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from hf_metairm.experiments.run import Run
from hf_metairm.experiments.store import Store
from hf_metairm.models.text_classifier import load_classifier

from ..models.tiny import save_tiny_encoder


LABELS = ["negative", "positive"]
ACCURACIES = {
    ("erm", 0): {"p=0.1": 0.9, "p=0.2": 0.8, "p=0.9": 0.1},
    ("erm", 1): {"p=0.1": 0.88, "p=0.2": 0.82, "p=0.9": 0.14},
    ("meta-irm", 0): {"p=0.1": 0.66, "p=0.2": 0.64, "p=0.9": 0.6},
    ("meta-irm", 1): {"p=0.1": 0.62, "p=0.2": 0.63, "p=0.9": 0.64},
}


def result(name: str, seed: int, accuracies: dict[str, float], **more: Any) -> dict[str, Any]:
    """A run's result; `unseen` are the environments from p=0.3 on, and those called unseen."""
    test = {e: {"accuracy": value, "rows": 400, "majority": 0.55} for e, value in accuracies.items()}
    unseen = [e for e in accuracies if e == "unseen" or (e.startswith("p=") and float(e[2:]) > 0.2)]
    settings = {"algorithm": name, "seed": seed, "dataset": "punctuated_sst2"}
    return {"name": name, "seed": seed, "test": test, "unseen": unseen, "classes": 2, "settings": settings, **more}


def write_results(folder: Path, accuracies: dict[tuple[str, int], dict[str, float]] = ACCURACIES) -> Path:
    """`runs.jsonl`."""
    for (name, seed), found in accuracies.items():
        made = result(name, seed, found)
        Store(folder).write(Run(name, made["settings"]), made)
    return folder


def write_model(
    folder: Path, encoder: Path, seed: int = 0, dataset: str = "punctuated_sst2", length: int = 32
) -> Path:
    """A classifier with a head drawn with `seed`, its tokenizer, and what a card notes down for machines."""
    torch.manual_seed(seed)
    model = load_classifier(str(encoder), LABELS)
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.model_max_length = length
    tokenizer.save_pretrained(folder)
    card = {"labels": LABELS, "training_rows": {"p=0.1": 10, "p=0.2": 10}, "dataset": [dataset], "algorithm": "ERM"}
    (folder / "results.json").write_text(json.dumps(card))
    return folder


def write_folder(folder: Path) -> Path:
    """Four results, one in a file of its own, and two models."""
    encoder = save_tiny_encoder(folder / "unfinished" / "encoder")
    write_results(folder)
    other = result("v-rex", 7, {"north": 0.7, "south": 0.9, "unseen": 0.65})
    Store(folder).write(Run("v-rex", other["settings"], "search"), other)
    for seed, name in enumerate(("erm-seed0", "meta-irm-seed0")):
        write_model(folder / name, encoder, seed)
    return folder
