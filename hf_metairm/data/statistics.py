"""Statistics of a build, from its columns alone: how often the cues follow the label, and how often it is noisy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import datasets
import numpy as np

from .builder import EnvironmentDatasetBuilder


@dataclass(frozen=True)
class EnvironmentStatistics:
    """One environment of one split.

    Args:
        split (`str`), environment (`str`): which.
        rows (`int`): n.
        noise (`float`): P(label ≠ clean label).
        agreement (`dict[str, float]`): P(cue = label), by the column of the cue.
    """

    split: str
    environment: str
    rows: int
    noise: float
    agreement: dict[str, float]

    def error(self, share: float) -> float:
        """Standard error of a share of these rows."""
        return math.sqrt(share * (1 - share) / self.rows)


def environment_statistics(builder: EnvironmentDatasetBuilder) -> list[EnvironmentStatistics]:
    """The statistics of every environment of every split of a prepared build."""
    found = []
    for split, dataset in builder.as_dataset().items():
        label, clean = _numbers(dataset, "label"), _numbers(dataset, "clean_label")
        names = np.array(dataset.with_format("arrow")["environment"].to_pylist())
        cues = {name: _cue(dataset, name, values) for name, values in builder.CUES.items()}
        for name in sorted(set(names.tolist())):
            rows = names == name
            found.append(
                EnvironmentStatistics(
                    str(split),
                    name,
                    int(rows.sum()),
                    float((label != clean)[rows].mean()),
                    {cue: float((value == label)[rows].mean()) for cue, value in cues.items() if value is not None},
                )
            )
    return found


def _numbers(dataset: datasets.Dataset, column: str) -> np.ndarray:
    return dataset.with_format("arrow")[column].to_numpy()


def _cue(dataset: datasets.Dataset, column: str, values: Sequence[str] | None) -> np.ndarray | None:
    """The label that the cue speaks for, int64 of shape (n,); `None` where this config has no such cue."""
    if column not in dataset.column_names:
        return None
    if values is None:
        return _numbers(dataset, column)
    found = dataset.with_format("arrow")[column].to_pylist()
    return np.array([values.index(value) for value in found]) if set(found) <= set(values) else None
