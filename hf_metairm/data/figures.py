"""The figures of a build, from its columns alone: how often the cues follow the label, and how often it is noisy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import datasets
import numpy as np

from .punctuated_sst2 import MARKS


@dataclass(frozen=True)
class EnvironmentFigures:
    """One environment of one split.

    Args:
        split (`str`), environment (`str`): which.
        rows (`int`): n.
        noise (`float`): P(label ≠ clean label).
        agreement (`dict[str, float]`): P(cue = label), by cue: `"color"`, `"patch"`, `"punctuation"`.
    """

    split: str
    environment: str
    rows: int
    noise: float
    agreement: dict[str, float]

    def error(self, share: float) -> float:
        """Standard error of a share of these rows."""
        return math.sqrt(share * (1 - share) / self.rows)


def cues_of(dataset: datasets.Dataset) -> dict[str, np.ndarray]:
    """The label that each cue speaks for, by cue: int64 of shape (n,)."""
    table = dataset.select_columns([n for n in dataset.column_names if n != "image"]).with_format("arrow")[:]
    cues = {name: table[name].to_numpy() for name in ("color", "patch") if name in table.column_names}
    if "punctuation" in table.column_names:
        marks = table["punctuation"].to_pylist()
        if any(marks):
            cues["punctuation"] = np.array([MARKS.index(mark) for mark in marks])
    return cues


def figures(splits: datasets.DatasetDict) -> list[EnvironmentFigures]:
    """The figures of every environment of every split."""
    found = []
    for split, dataset in splits.items():
        table = dataset.select_columns(["label", "clean_label", "environment"]).with_format("arrow")[:]
        label, clean = table["label"].to_numpy(), table["clean_label"].to_numpy()
        names = np.array(table["environment"].to_pylist())
        cues = cues_of(dataset)
        for name in sorted(set(names.tolist())):
            rows = names == name
            found.append(
                EnvironmentFigures(
                    str(split),
                    name,
                    int(rows.sum()),
                    float((label != clean)[rows].mean()),
                    {cue: float((value == label)[rows].mean()) for cue, value in cues.items()},
                )
            )
    return found
