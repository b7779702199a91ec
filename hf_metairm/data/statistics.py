"""Statistics of a build, from its columns alone: its classes, how often the cues follow the label, and its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import datasets
import numpy as np

from .sourced import SourcedDatasetBuilder


@dataclass(frozen=True)
class EnvironmentStatistics:
    """One environment of one split.

    Args:
        split (`str`), environment (`str`): which.
        rows (`int`): n.
        labels (`dict[str, float]`): share of each class.
        noise (`float`, *optional*): P(label ≠ clean label); `None` where no label was changed.
        agreement (`dict[str, float]`): P(cue = label), by the column of the cue.
    """

    split: str
    environment: str
    rows: int
    labels: dict[str, float]
    noise: float | None
    agreement: dict[str, float]

    @property
    def shares(self) -> dict[str, float]:
        """What to tell people, by what it is: the noise, or the classes where there is none, and the cues."""
        if self.noise is None:
            first = {f"P({name})": share for name, share in self.labels.items()}
        else:
            first = {"P(label ≠ clean)": self.noise}
        return {**first, **{f"P({cue} = label)": share for cue, share in self.agreement.items()}}

    def error(self, share: float) -> float:
        """Standard error of a share of these rows."""
        return math.sqrt(share * (1 - share) / self.rows)


def environment_statistics(builder: SourcedDatasetBuilder) -> list[EnvironmentStatistics]:
    """The statistics of every environment of every split of a prepared build."""
    found = []
    for split, dataset in builder.as_dataset().items():
        label = _numbers(dataset, "label")
        clean = _numbers(dataset, "clean_label") if "clean_label" in dataset.column_names else None
        classes = dataset.features["label"].names
        names = np.array(dataset.with_format("arrow")["environment"].to_pylist())
        cues = {name: _cue(dataset, name, values) for name, values in builder.CUES.items()}
        for name in sorted(set(names.tolist())):
            rows = names == name
            found.append(
                EnvironmentStatistics(
                    str(split),
                    name,
                    int(rows.sum()),
                    {known: float((label[rows] == number).mean()) for number, known in enumerate(classes)},
                    None if clean is None else float((label != clean)[rows].mean()),
                    {cue: float((value == label)[rows].mean()) for cue, value in cues.items() if value is not None},
                )
            )
    return found


def _numbers(dataset: datasets.Dataset, column: str) -> np.ndarray:
    numbers: np.ndarray = dataset.with_format("arrow")[column].to_numpy()
    return numbers


def _cue(dataset: datasets.Dataset, column: str, values: Sequence[str] | None) -> np.ndarray | None:
    """The label that the cue speaks for, int64 of shape (n,); `None` where this config has no such cue."""
    if column not in dataset.column_names:
        return None
    if values is None:
        return _numbers(dataset, column)
    found = dataset.with_format("arrow")[column].to_pylist()
    return np.array([values.index(value) for value in found]) if set(found) <= set(values) else None
