"""A metric is a value: its name, what computes it, which way is better, and how it is written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .deprecation import former_names


@dataclass(frozen=True)
class Metric:
    """
    A metric.

    Args:
        name (`str`): as it stands in results, such as `"accuracy"` or `"f1"`, without the environment.
        function (`Callable`, *optional*): of predictions and references, one of each per row; a number.
        greater_is_better (`bool`, *optional*, defaults to `True`): its direction.
        share_of_rows (`bool`, *optional*, defaults to `False`): whether it is a share of the rows, between 0 and 1,
            which has a binomial standard error and is written in percent.
    """

    name: str
    function: Callable[[np.ndarray, np.ndarray], float] | None = None
    greater_is_better: bool = True
    share_of_rows: bool = False

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return self.name.replace("_", " ")

    @property
    def heading(self) -> str:
        """Its name above a column, with the unit."""
        return f"{self.title}, %" if self.share_of_rows else self.title

    def worst(self, values: Mapping[str, float]) -> str:
        """The name whose value is worst; one that is no number is worse than any."""
        sign = 1 if self.greater_is_better else -1
        return min(values, key=lambda name: -math.inf if math.isnan(values[name]) else sign * values[name])

    def standard_error(self, value: float, rows: int) -> float | None:
        """The binomial one, √(v(1 − v)/n), where the metric is a share of n rows."""
        known = self.share_of_rows and rows and 0 <= value <= 1
        return math.sqrt(value * (1 - value) / rows) if known else None

    def number(self, value: float) -> str:
        """A value without its unit."""
        return f"{100 * value:.1f}" if self.share_of_rows else f"{value:.4g}"

    def words(self, value: float) -> str:
        """A value with its unit."""
        return f"{self.number(value)} %" if self.share_of_rows else self.number(value)

    def with_error(self, value: float | None, rows: int) -> str:
        """A value and, where it is known, its standard error, without the unit; nothing where there is no value."""
        if value is None:
            return ""
        error = self.standard_error(value, rows)
        return self.number(value) + (f" ± {self.number(error)}" if error is not None else "")


def share_right(predictions: np.ndarray, references: np.ndarray) -> float:
    """The share of rows whose prediction is right."""
    return float((np.asarray(predictions) == np.asarray(references)).mean())


ACCURACY = Metric("accuracy", share_right, share_of_rows=True)
LOSS = Metric("loss", greater_is_better=False)
# Of metrics that `compute_metrics` may return, those where less is better; a name may have more words before it.
LESS_IS_BETTER = re.compile(
    r"(^|_)(loss|error|perplexity|ppl|brier|ece|nll|mae|mape|mse|rmse|wer|cer|ter)$|_error(_|$)|hamming"
)


# What stands where an environment's name does, in the metrics over all of them.
RESERVED_NAMES = ("worst_environment", "mean_environment")


def metric_named(name: str) -> Metric:
    """The metric of that name: one that is known here, or one whose direction its name tells."""
    known = {metric.name: metric for metric in (ACCURACY, LOSS)}
    return known.get(name) or Metric(name, greater_is_better=not LESS_IS_BETTER.search(name.lower()))


def over_environments(found: Mapping[str, Mapping[str, Any]], taken: Collection[str] = ()) -> dict[str, Any]:
    """
    Metrics of each environment under one level of names: `<environment>_<metric>`, and for every number that all of
    them have, `worst_environment_<metric>` and `mean_environment_<metric>`.

    Where two of them would have one name, that of an environment's metric is `environment_<environment>_<metric>`.

    Args:
        found (`Mapping[str, Mapping]`): metrics, by environment.
        taken (`Collection[str]`, *optional*): names that are no environment's.
    """
    flat: dict[str, Any] = {}
    for name, metrics in found.items():
        for metric, value in metrics.items():
            # Two of them may read alike, such as x + a_f1 and x_a + f1.
            key = f"{name}_{metric}"
            flat[f"environment_{key}" if key in flat or key in taken or name in RESERVED_NAMES else key] = value
    for metric in next(iter(found.values()), {}):
        named: dict[str, Any] = {name: metrics.get(metric) for name, metrics in found.items()}
        if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in named.values()):
            flat[f"worst_environment_{metric}"] = named[metric_named(metric).worst(named)]
            flat[f"mean_environment_{metric}"] = float(np.mean(list(named.values())))
    return flat


__getattr__ = former_names(__name__)
