"""A metric is a value: its name, what computes it, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import evaluate
import numpy as np


class Accuracy(evaluate.Metric):
    """Share of rows whose class is right, as an `evaluate.Metric` that needs no Hub."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Share of rows whose class is right.",
            citation="",
            inputs_description="Class ids and true class ids, one of each per row.",
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, float]:
        return {"accuracy": float((np.asarray(predictions) == np.asarray(references)).mean())}


@dataclass(frozen=True)
class Metric:
    """
    A metric.

    Args:
        name (`str`): as it stands in results, such as `"accuracy"`.
        function (`Callable`, *optional*): of predictions and references, one of each per row; a number.
        greater_is_better (`bool`, *optional*, defaults to `True`): which way is better.
        share_of_rows (`bool`, *optional*, defaults to `False`): whether it is a share of the rows, which has a
            binomial standard error.
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray], float] | None = None
    greater_is_better: bool = True
    share_of_rows: bool = False

    def worst(self, values: Sequence[float]) -> float:
        """The worst of some values of it."""
        return min(values) if self.greater_is_better else max(values)

    def standard_error(self, value: float, rows: int) -> float | None:
        """√(v(1 − v)/n) where the metric is a share of n rows, else `None`."""
        return math.sqrt(value * (1 - value) / rows) if self.share_of_rows and rows and 0 <= value <= 1 else None


def _accuracy(predictions: np.ndarray, references: np.ndarray) -> float:
    return Accuracy(keep_in_memory=True).compute(predictions=predictions, references=references)["accuracy"]


ACCURACY = Metric("accuracy", _accuracy, share_of_rows=True)
LOSS = Metric("loss", greater_is_better=False)
# Of metrics that `compute_metrics` may return, those where less is better; a name may have more words before it.
LESS_IS_BETTER = (
    "loss", "error", "mse", "rmse", "mae", "mape", "perplexity", "ppl", "wer", "cer", "ter", "brier", "nll", "ece"
)  # fmt: skip


def metric_named(name: str) -> Metric:
    """The metric of that name: one that is known here, or one whose direction its name tells."""
    for known in (ACCURACY, LOSS):
        if name == known.name:
            return known
    return Metric(name, greater_is_better=name.lower().split("_")[-1] not in LESS_IS_BETTER)


class EnvironmentAccuracy(evaluate.Metric):
    """
    Accuracy per environment, for whoever has predictions and the names of their environments side by side.

    `compute(predictions=…, references=…, environments=…)` takes class ids and the names of the environments, all of
    shape (rows,), and gives, each between 0 and 1: `accuracy`, `<environment>_accuracy` for each of them,
    `worst_environment_accuracy` and `mean_environment_accuracy` (every environment weighs the same).
    """

    def _info(self) -> evaluate.MetricInfo:
        features = {
            "predictions": datasets.Value("int64"),
            "references": datasets.Value("int64"),
            "environments": datasets.Value("string"),
        }
        return evaluate.MetricInfo(
            description="Accuracy over all rows, in each environment, in the worst, and the mean over environments.",
            citation="",
            inputs_description="Class ids, true class ids and environment names, one of each per row.",
            features=datasets.Features(features),
        )

    def _compute(
        self, predictions: Sequence[int], references: Sequence[int], environments: Sequence[str]
    ) -> dict[str, float]:
        right, names = np.asarray(predictions) == np.asarray(references), np.asarray(environments)
        found = {str(name): {ACCURACY.name: float(right[names == name].mean())} for name in np.unique(names)}
        return {ACCURACY.name: float(right.mean()), **over_environments(found)}


def over_environments(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """
    Metrics of each environment under one level of names: `<environment>_<metric>`, and for every number that all of
    them have, `worst_environment_<metric>` and `mean_environment_<metric>`.

    Args:
        found (`Mapping[str, Mapping]`): metrics, by environment.
    """
    flat: dict[str, Any] = {}
    for name, metrics in found.items():
        for metric, value in metrics.items():
            # Two of them may read alike, such as x + a_f1 and x_a + f1: the later is told apart.
            key = f"{name}_{metric}"
            flat[key if key not in flat else f"environment_{key}"] = value
    for metric in next(iter(found.values()), {}):
        values = [metrics.get(metric) for metrics in found.values()]
        if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            flat[f"worst_environment_{metric}"] = metric_named(metric).worst(values)
            flat[f"mean_environment_{metric}"] = float(np.mean(values))
    return flat
