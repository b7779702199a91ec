"""Cross-fitted softmax regression: every row is judged by a model that was fitted to other rows."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


FOLDS, STEPS = 5, 100


class Features(Protocol):
    """A matrix X with a row for each of n rows, which may be stored in any way."""

    count: int

    def sums_by_row(self, of_columns: Tensor) -> Tensor:
        """X V, of shape (n, m), for V of shape (count, m)."""

    def sums_by_column(self, of_rows: Tensor) -> Tensor:
        """Xᵀ V, of shape (count, m), for V of shape (n, m)."""


class Dense:
    """
    Features that are held as numbers, standardized.

    Args:
        values (`Tensor`): float of shape (n, count); a column that does not vary becomes 0.
    """

    def __init__(self, values: Tensor):
        values = values.float()
        self._matrix = (values - values.mean(0)) / values.std(0).clamp_min(1e-6)
        self.count = values.shape[1]

    def sums_by_row(self, of_columns: Tensor) -> Tensor:
        """See [`Features`]."""
        return self._matrix @ of_columns

    def sums_by_column(self, of_rows: Tensor) -> Tensor:
        """See [`Features`]."""
        return self._matrix.T @ of_rows


def cross_fitted(
    features: Features,
    classes: np.ndarray,
    folds: np.ndarray,
    weights: np.ndarray | None = None,
    ridge: float = 1.0,
) -> Tensor:
    """
    Judge each row by a softmax regression that was fitted to the rows of the other folds, with the penalty ½ρ‖W‖²
    beside the weighted sum of the negative log-likelihoods.

    Args:
        features ([`Features`]): of n rows.
        classes (`np.ndarray`): integers of shape (n,), 0 … K − 1.
        folds (`np.ndarray`): integers of shape (n,), 0 … F − 1.
        weights (`np.ndarray`, *optional*): floats of shape (n,); 1 by default.
        ridge (`float`, *optional*, defaults to 1.0): ρ.

    Returns:
        `Tensor`: log-likelihoods, float32 of shape (n, K).
    """
    n, k, count = len(classes), int(classes.max()) + 1, int(folds.max()) + 1
    row, fold = torch.arange(n), torch.from_numpy(folds.astype(np.int64))
    fitted = (fold[:, None] != torch.arange(count)).float()[..., None]  # (n, folds, 1)
    if weights is not None:
        fitted = fitted * torch.from_numpy(weights).float()[:, None, None]
    target = torch.from_numpy(classes.astype(np.int64))
    weight, bias = (torch.zeros(size, count * k, requires_grad=True) for size in (features.count, 1))
    # The folds' models share nothing, so the sum of their objectives has its minimum where each of them has its own.
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=STEPS,
        history_size=10,
        tolerance_grad=1e-6,
        tolerance_change=1e-8,
        line_search_fn="strong_wolfe",
    )

    def log_likelihood() -> Tensor:
        return (features.sums_by_row(weight) + bias).view(n, count, k).log_softmax(-1)

    @torch.no_grad()
    def objective() -> Tensor:
        told = log_likelihood()
        slope = told.exp()
        slope[row, :, target] -= 1
        slope = (slope * fitted / n).view(n, -1)
        weight.grad = features.sums_by_column(slope) + ridge * weight / n
        bias.grad = slope.sum(0, keepdim=True)
        return (ridge * weight.square().sum() / 2 - (told[row, :, target] * fitted[..., 0]).sum()) / n

    optimizer.step(objective)
    with torch.no_grad():
        return log_likelihood()[row, fold]
