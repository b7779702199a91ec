"""What an evaluation found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..deprecation import FormerAttribute
from ..metrics import Metric, metric_named
from .intervals import Interval


SAME_BY_CHANCE = 0.05  # share of rows whose text may stand in other data, too: short ones recur


@dataclass(frozen=True)
class EnvironmentScores:
    """
    One environment.

    Args:
        name (`str`): of the environment.
        rows (`int`): how many there are.
        metrics (`dict[str, float]`): every metric, by name.
        interval (`tuple[float, float]`, *optional*): the first metric's confidence interval, where it is a share of
            rows.
        majority (`float`): the share of the most frequent class.
        unseen (`bool`, *optional*): whether training never saw it; `None` where nobody noted that down.
        confusion (`list[list[int]]`): row counts, the true class by the predicted one.
        trained_on (`float`, *optional*): share of its rows whose text is one that the checkpoint was trained on;
            `None` where the checkpoint does not know.
    """

    name: str
    rows: int
    metrics: dict[str, float]
    interval: Interval | None
    majority: float
    unseen: bool | None
    confusion: list[list[int]]
    trained_on: float | None = None

    accuracy = FormerAttribute(
        "hf_metairm.evaluation.EnvironmentScores.accuracy", lambda found: found.metrics["accuracy"]
    )


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
        environments (`list[EnvironmentScores]`): in the order of a `ClassLabel`, else sorted.
        overall (`dict[str, float]`): every metric over all rows; the first one is what is compared.
        mean (`float`): of the first metric over environments, each weighing the same.
        mean_interval (`tuple[float, float]`, *optional*): its confidence interval.
        worst_environment (`str`): the one that does worst in the first metric.
        worst_interval (`tuple[float, float]`, *optional*): of the worst value, whichever environment has it.
        confidence (`float`): of the intervals, such as 0.95.
        versions (`dict[str, str]`): of what it was computed with.
        algorithm (`str`, *optional*): what trained the checkpoint, where its card says it.
    """

    checkpoint: str
    dataset: str
    config: str | None
    split: str
    environment_column: str
    labels: list[str]
    environments: list[EnvironmentScores]
    overall: dict[str, float]
    mean: float
    mean_interval: Interval | None
    worst_environment: str
    worst_interval: Interval | None
    confidence: float
    versions: dict[str, str]
    algorithm: str | None = None

    accuracy = FormerAttribute("hf_metairm.evaluation.Evaluation.accuracy", lambda found: found.overall["accuracy"])
    mean_accuracy = FormerAttribute(
        "hf_metairm.evaluation.Evaluation.mean_accuracy", lambda found: {found.metric.name: found.mean}["accuracy"]
    )
    worst_accuracy = FormerAttribute(
        "hf_metairm.evaluation.Evaluation.worst_accuracy", lambda found: {found.metric.name: found.worst}["accuracy"]
    )

    @property
    def metric(self) -> Metric:
        """The metric that is compared."""
        return metric_named(next(iter(self.overall)))

    @property
    def values(self) -> dict[str, float]:
        """Its value in each environment."""
        return {e.name: e.metrics[self.metric.name] for e in self.environments}

    @property
    def worst(self) -> float:
        """Its value in the worst environment."""
        return self.values[self.worst_environment]

    @property
    def rows(self) -> int:
        """Rows of all environments."""
        return sum(environment.rows for environment in self.environments)

    @property
    def notes(self) -> list[str]:
        """What a reader should know besides, as sentences."""
        notes = []
        if all(e.unseen for e in self.environments):
            notes.append("Training saw none of these environments: nothing here is about those that it saw.")
        shares = {e.name: e.trained_on or 0.0 for e in self.environments}
        again = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items() if share > SAME_BY_CHANCE)
        if again:
            notes.append(
                f"Trained on these very texts: {again} of the rows. Such results say nothing of new rows: evaluate on "
                "others, such as those that were held out."
            )
        guesses = [e.name for e in self.environments if self.values[e.name] <= e.majority]
        if self.metric.share_of_rows and guesses:
            notes.append(f"No better than always naming the most frequent class: {', '.join(guesses)}.")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON; metrics stand under their own names."""
        found = asdict(self)
        for environment in found["environments"]:
            environment.update(environment.pop("metrics"))
        name = self.metric.name
        found |= {**found.pop("overall"), f"mean_{name}": found.pop("mean"), f"worst_{name}": self.worst}
        return {**found, "metric": name, "rows": self.rows, "notes": self.notes}
