"""Models and settings that `train` and `evaluate` refuse, and in which sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load, save

from .inputs import LABELS, SITES, TEXTS


@dataclass(frozen=True, eq=False)
class Refusal:
    """What is given, what makes it of a sound model's folder and which rows, and the sentence that refuses it."""

    what: str
    command: str
    refused: str
    words: tuple[str, ...] = ()
    spoil: Callable[[Path], None] = lambda folder: None
    rows: tuple[list[str], list[str], list[str]] = (TEXTS, LABELS, SITES)


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:700]) and None


def without(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names] and None


def weights(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        found = load((folder / "model.safetensors").read_bytes())
        change(found)
        (folder / "model.safetensors").write_bytes(save(found, {"format": "pt"}))

    return spoil


def every_weight_nan(found: dict) -> None:
    for value in found.values():
        value.fill_(float("nan"))


TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")
LACKS = weights(lambda found: found.pop("bert.encoder.layer.1.output.dense.weight"))
BOTH = [
    ("a model without a tokenizer", "has no tokenizer: save it beside the model", without(*TOKENIZER)),
    ("a tokenizer without its vocabulary", "has no vocabulary", without("tokenizer.json", "vocab.txt")),
    ("a tokenizer that is cut off", "The tokenizer of .* cannot be read", cut("tokenizer.json")),
    ("weights that are cut off", "The weights of .* cannot be read", cut("model.safetensors")),
    ("weights of which a layer lacks", "are not whole, 1 of .* lack", LACKS),
    ("a folder that is no model", "no (model|checkpoint): ", without("config.json")),
]
REFUSED = [
    *(Refusal(what, command, refused, (), spoil)
      for what, refused, spoil in BOTH for command in ("train", "evaluate")),
    Refusal("a model that gives NaN", "evaluate", r"gives NaN or infinity for 4 of 4 rows \(100.0%\)", (),
            weights(every_weight_nan)),
    Refusal("a model of two classes, labels of three", "evaluate", "has 3 labels .* the model tells 2 classes apart",
            rows=(TEXTS, ["0", "1", "2", "1"], SITES)),
    Refusal("classes without names, labels that are words", "evaluate", "name them .* with --labels NAME0,NAME1",
            rows=(TEXTS, ["bad", "good", "bad", "good"], SITES)),
    Refusal("classes without names, labels 1 and 2", "evaluate", "holds the label 2, but the model tells 2 classes",
            rows=(TEXTS, ["1", "2", "1", "2"], SITES)),
    Refusal("classes without names, all labels 1", "evaluate", "whether 0 or 1 is the first of them cannot be told",
            rows=(TEXTS, ["1"] * 4, SITES)),
    Refusal("three names for two classes", "evaluate", "--labels names 3 classes", ("--labels", "a,b,c")),
    Refusal("`--batch_size 0`", "evaluate", "--batch_size 0: give a number from 1 on", ("--batch_size", "0")),
    Refusal("more tokens than the model has positions for", "evaluate", "--max_length 900: give a number from 1 to 64",
            ("--max_length", "900")),
    Refusal("a text that lacks, `--missing_values`", "evaluate", "1 of 4 rows have no text in column 'text'",
            ("--missing_values", "too long")),
    Refusal("a text that lacks, `--missing_values`", "train", "1 of 4 rows have no text in column 'text'",
            ("--missing_values", "too long")),
    Refusal("one site", "train", "The column 'site' names a single environment .paris.",
            rows=(TEXTS, LABELS, ["paris"] * 4)),
    Refusal("all sites unseen", "train", "Every environment is unseen", ("--unseen_environments", "paris", "rome")),
    Refusal("an unseen site that is not there", "train", "No rows of environment '010'; there are paris, rome",
            ("--unseen_environments", "010")),
    Refusal("`inf` as a setting", "train", "weight_decay=inf is refused", ("--weight_decay", "inf")),
    Refusal("`nan` as a setting", "train", "logging_steps=nan is refused", ("--logging_steps", "nan")),
    Refusal("a batch of 0", "train", "per_device_train_batch_size=0 is refused",
            ("--per_device_train_batch_size", "0")),
    Refusal("a batch that sites cannot share", "train", "cannot be shared evenly",
            ("--per_device_train_batch_size", "3")),
    Refusal("several words where one belongs", "train", "text_column takes one value, not the list",
            ("--text_column", "text", "label")),
    Refusal("a setting with a typing error", "train", "did you mean 'learning_rate'", ("--learning_rat", "1")),
    Refusal("a seed below 0", "train", r"seeds=\[-1\] is refused", ("--seeds", "-1")),
]  # fmt: skip


def spoiled(case: Refusal, sound: Path, folder: Path) -> Path:
    """A copy of a sound model's folder, as the case has it."""
    shutil.copytree(sound, folder)
    case.spoil(folder)
    return folder
