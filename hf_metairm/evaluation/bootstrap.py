"""Confidence intervals by the bootstrap over rows (Efron 1979), drawn within each environment."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


CONFIDENCE = 0.95


def resample_accuracies(right: Mapping[str, np.ndarray], resamples: int, seed: int) -> dict[str, np.ndarray]:
    """
    The accuracies of bootstrap samples: n rows of each environment, drawn with replacement from its n rows.

    How many of n rows drawn with replacement are right ones is binomial, so this draws that number and no rows.

    Args:
        right (`Mapping[str, np.ndarray]`): by environment, whether each row was classified rightly, bool of
            shape (n,).
        resamples (`int`): how many samples.
        seed (`int`): decides them.

    Returns:
        `dict[str, np.ndarray]`: by environment, accuracies between 0 and 1, shape (resamples,).
    """
    generator = np.random.default_rng(seed)
    return {name: generator.binomial(len(rows), rows.mean(), resamples) / len(rows) for name, rows in right.items()}


def interval(samples: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The percentile interval that holds the share `confidence` of the bootstrap samples, shape (resamples,)."""
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
