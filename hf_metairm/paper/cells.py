"""Figures as they stand in the cells of the paper's tables, in percent."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .published import UNSEEN, Published


def measured(found: Mapping[str, float]) -> str:
    """Mean ± standard deviation over the seeds, and in brackets the standard error that the test rows leave."""
    spread = found["sd"] if found["seeds"] > 1 else None
    return f"{plus_minus(100 * found['mean'], None if spread is None else 100 * spread)} ({100 * found['se']:.1f})"


def interval(found: Mapping[str, float]) -> str:
    """An interval of 95 % around the mean: the test rows are a sample, and the seeds are one."""
    half = 1.96 * math.sqrt(found["se"] ** 2 + found["sd"] ** 2 / found["seeds"])
    return f"{100 * (found['mean'] - half):.1f} to {100 * (found['mean'] + half):.1f}"


def reported(values: Published | None) -> str:
    """What others published of the unseen environment, and behind it what they published of those in training."""
    if not values or UNSEEN not in values:
        return ""
    others = [f"{name[2:]}: {value:.1f}" for name, (value, _) in values.items() if name != UNSEEN]
    return plus_minus(*values[UNSEEN]) + (f" ({', '.join(others)})" if others else "")


def plus_minus(mean: float, deviation: float | None) -> str:
    """A mean and, where it is known, its deviation."""
    return f"{mean:.1f}" + (f" ± {deviation:.1f}" if deviation is not None else "")
