"""The tab to try a sentence in: what each model says of a text, and what another version changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import datasets
import numpy as np
import torch

from ..evaluation.checkpoint import load_checkpoint
from ..evaluation.classifier import Classifier
from ..files import in_one_line
from .found import SavedModel
from .html import paragraph, table


KEPT = 8  # models in memory
COLUMN = "text"


@dataclass(frozen=True)
class Answer:
    """
    What a model says of some texts.

    Args:
        model (`str`): its name on the page.
        labels (`list[str]`): its classes.
        probabilities (`np.ndarray`): float64 of shape (texts, classes).
        cut (`int`, *optional*): how many tokens it has read, where a text has more.
    """

    model: str
    labels: list[str]
    probabilities: np.ndarray
    cut: int | None = None

    def says(self, text: int) -> str:
        """The most probable class of a text."""
        return self.labels[int(self.probabilities[text].argmax())]


def answer(model: SavedModel, texts: Sequence[str]) -> Answer:
    """
    Have a model classify texts.

    Raises:
        ValueError: it cannot be read, or gives no numbers.
        OSError: a file of it, or of the model that it adapts, cannot be found.
    """
    classifier = _loaded(model.folder)
    rows = datasets.Dataset.from_dict({COLUMN: list(texts)})
    # A text at a time: a tokenizer without a padding token reads no two together.
    logits = torch.from_numpy(classifier.logits(rows, COLUMN, batch_size=1)).double()
    tokens = classifier.processor(list(texts), verbose=False)["input_ids"]
    cut = classifier.longest if max(map(len, tokens)) > classifier.longest else None
    return Answer(model.name, classifier.labels, logits.softmax(-1).numpy(), cut)


@lru_cache(maxsize=KEPT)
def _loaded(folder: Path) -> Classifier:
    return load_checkpoint(str(folder), "cpu")


def compared(models: Sequence[SavedModel], text: str, other: str = "") -> str:
    """
    The page's answer: a table with a block for each model, and what changed in a sentence.

    Args:
        models (`Sequence[SavedModel]`): which read text.
        text (`str`): a sentence.
        other (`str`, *optional*): another version of it.
    """
    texts = [version.strip() for version in (text, other) if version.strip()]
    if not text.strip():
        return paragraph("The text is empty: type a sentence first.")
    if not models:
        return paragraph("No model is picked: tick one or more.")
    answers, failed = [], []
    for model in models:
        try:
            answers.append(answer(model, texts))
        except (ValueError, OSError, ImportError) as error:
            failed.append(paragraph(f"{model.name}: {in_one_line(error)}"))
    changed = [paragraph(_changed(answers))] if len(texts) > 1 and answers else []
    cut = [f"{a.model} reads the first {a.cut} tokens of a text, and this one has more." for a in answers if a.cut]
    return "".join([*changed, *_tables(answers), *map(paragraph, cut), *failed])


def _tables(answers: Sequence[Answer]) -> list[str]:
    """One for each list of classes: mostly all models have the same."""
    by_labels: dict[tuple[str, ...], list[Answer]] = {}
    for found in answers:
        by_labels.setdefault(tuple(found.labels), []).append(found)
    return [
        table(
            ["model", "version", "says", *labels],
            [row for found in of_labels for row in _rows(found)],
            "Probability of each class, percent",
        )
        for labels, of_labels in by_labels.items()
    ]


def _rows(found: Answer) -> list[list[str]]:
    first, *others = 100 * found.probabilities
    rows = [[found.model, "as typed", found.says(0), *(f"{p:.1f}" for p in first)]]
    for second in others:
        rows.append(["", "other version", found.says(1), *(f"{p:.1f}" for p in second)])
        rows.append(["", "change", "", *(f"{p:+.1f}" for p in second - first)])
    return rows


def _changed(answers: Sequence[Answer]) -> str:
    """Which models name another class for the other version, and how far the probabilities moved."""
    turned = [f"{a.model} ({a.says(0)} → {a.says(1)})" for a in answers if a.says(0) != a.says(1)]
    moved = {a.model: 100 * np.abs(a.probabilities[1] - a.probabilities[0]).max() for a in answers}
    most = max(moved, key=lambda name: moved[name])
    said = f"Another class for the other version: {', '.join(turned)}." if turned else "No model changes its class."
    return f"{said} The largest change: {moved[most]:.1f} points, {most}."
