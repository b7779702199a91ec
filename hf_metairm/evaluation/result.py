"""What an evaluation found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


Interval = tuple[float, float]


@dataclass(frozen=True)
class EnvironmentFigures:
    """
    One environment.

    Args:
        name (`str`): of the environment.
        rows (`int`): how many there are.
        accuracy (`float`): between 0 and 1.
        interval (`tuple[float, float]`): its confidence interval.
        confusion (`list[list[int]]`): row counts, the true class by the predicted one.
    """

    name: str
    rows: int
    accuracy: float
    interval: Interval
    confusion: list[list[int]]


@dataclass(frozen=True)
class Evaluation:
    """
    A checkpoint on a dataset.

    Args:
        checkpoint (`str`): what was evaluated.
        dataset (`str`): on what.
        config (`str`, *optional*): its config.
        split (`str`): the part of it.
        environment_column (`str`): the column that names environments.
        labels (`list[str]`): the model's classes, in the order of the confusion matrices.
        environments (`list[EnvironmentFigures]`): in the order of a `ClassLabel`, else sorted.
        accuracy (`float`): over all rows, between 0 and 1.
        mean_accuracy (`float`): over environments, each weighing the same.
        mean_interval (`tuple[float, float]`): its confidence interval.
        worst_environment (`str`): the one with the lowest accuracy.
        worst_interval (`tuple[float, float]`): of the lowest accuracy, whichever environment has it in a sample.
        confidence (`float`): of the intervals, such as 0.95.
        resamples (`int`): of the bootstrap.
        seed (`int`): of the bootstrap.
        versions (`dict[str, str]`): of what it was computed with.
    """

    checkpoint: str
    dataset: str
    config: str | None
    split: str
    environment_column: str
    labels: list[str]
    environments: list[EnvironmentFigures]
    accuracy: float
    mean_accuracy: float
    mean_interval: Interval
    worst_environment: str
    worst_interval: Interval
    confidence: float
    resamples: int
    seed: int
    versions: dict[str, str]

    @property
    def worst_accuracy(self) -> float:
        """The accuracy of the worst environment."""
        return min(environment.accuracy for environment in self.environments)

    @property
    def rows(self) -> int:
        """Rows of all environments."""
        return sum(environment.rows for environment in self.environments)

    @property
    def notes(self) -> list[str]:
        """What a reader of the intervals should know, as sentences."""
        sure = [e.name for e in self.environments if e.accuracy in (0.0, 1.0)]
        small = [e.name for e in self.environments if e.rows < 30]
        notes = []
        if sure:
            notes.append(f"No interval where all rows are right or all are wrong: {', '.join(sure)}.")
        if small:
            notes.append(f"Fewer than 30 rows, so that the interval is too narrow: {', '.join(small)}.")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {**asdict(self), "worst_accuracy": self.worst_accuracy, "rows": self.rows, "notes": self.notes}
