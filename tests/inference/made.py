"""Texts whose content tells the label in three of four rows, with a mark that tells it in nine of ten, or without."""

from __future__ import annotations

import datasets
import numpy as np


def reviews(
    seed: int, rows: int, content: float = 0.75, mark: float | None = 0.9
) -> tuple[datasets.Dataset, np.ndarray]:
    """The rows, and whether the mark contradicts the label in each."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    words = rng.choice([f"w{k}" for k in range(50)], (rows, 6))
    says = np.where(rng.random(rows) < content, label, 1 - label)
    marks = np.where(rng.random(rows) < (mark or 0), label, 1 - label)
    ends = np.full(rows, "") if mark is None else np.array([".", "!"])[marks]
    texts = [f"{' '.join(some)} {'great' if s else 'poor'}{end}" for some, s, end in zip(words, says, ends)]
    names = [["bad", "good"][y] for y in label]
    return datasets.Dataset.from_dict({"text": texts, "label": names}), marks != label
