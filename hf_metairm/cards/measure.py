"""A metric as a reader meets it: which direction is better, whether it is a share of rows, how it is written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass


# A mean over rows of right or wrong: between 0 and 1, with a binomial standard error.
SHARES_OF_ROWS = ("accuracy",)
SMALLER_IS_BETTER = re.compile(r"(^|_)(loss|error|perplexity|brier|ece|mae|mse|rmse|wer|cer|ter)$|_error(_|$)|hamming")


@dataclass(frozen=True)
class Measure:
    """
    A metric by its name.

    Args:
        name (`str`): such as `"accuracy"` or `"f1"`, without the environment.
        greater_is_better (`bool`, *optional*, defaults to `True`): its direction.
        share (`bool`, *optional*, defaults to `False`): whether it is a share of rows, which is written in percent.
    """

    name: str
    greater_is_better: bool = True
    share: bool = False

    @classmethod
    def named(cls, name: str) -> Measure:
        """The metric of that name, as far as a name says it."""
        return cls(name, not SMALLER_IS_BETTER.search(name), name in SHARES_OF_ROWS)

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return self.name.replace("_", " ")

    @property
    def heading(self) -> str:
        """Its name above a column, with the unit."""
        return f"{self.title}, %" if self.share else self.title

    def worst(self, values: Mapping[str, float]) -> str:
        """The name whose value is worst; one that is no number is worse than any."""
        sign = 1 if self.greater_is_better else -1
        return min(values, key=lambda name: -math.inf if math.isnan(values[name]) else sign * values[name])

    def standard_error(self, value: float, rows: int) -> float | None:
        """The binomial one, √(a(1 − a)/n), of a share of rows."""
        return math.sqrt(value * (1 - value) / rows) if self.share and rows else None

    def number(self, value: float) -> str:
        """A value without its unit."""
        return f"{100 * value:.1f}" if self.share else f"{value:.4g}"

    def words(self, value: float) -> str:
        """A value with its unit."""
        return f"{self.number(value)} %" if self.share else self.number(value)

    def with_error(self, value: float, rows: int) -> str:
        """A value and, where it is known, its standard error; without the unit."""
        error = self.standard_error(value, rows)
        return self.number(value) + (f" ± {self.number(error)}" if error is not None else "")
