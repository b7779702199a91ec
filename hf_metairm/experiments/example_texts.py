"""What each trained model says of a few texts, side by side: the shortcut in a reader's own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..names import cell


def classify(folder: Path, texts: Sequence[str]) -> list[tuple[str, float]]:
    """The label of each text and its probability, by the model in a folder."""
    from transformers import pipeline

    found = pipeline("text-classification", str(folder), device="cpu")(list(texts), truncation=True)
    return [(str(one["label"]), float(one["score"])) for one in found]


def print_examples(models: Mapping[str, Path], texts: Sequence[str]) -> None:
    """
    A table on the terminal: a row for each text, a column for each model.

    Args:
        models (`Mapping[str, Path]`): the models' folders by name.
        texts (`Sequence[str]`): what they classify.
    """
    shown = Table(title="What the models say", show_lines=False)
    shown.add_column("", overflow="fold")
    said = {}
    for name, folder in models.items():
        said[name] = classify(folder, texts)
        shown.add_column(cell(name))
    for k, text in enumerate(texts):
        labels = [said[name][k] for name in models]
        shown.add_row(cell(text), *(f"{cell(label)} ({100 * score:.0f} %)" for label, score in labels))
    Console(width=None if Console().is_terminal else 110).print(shown)
