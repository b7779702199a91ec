"""Empirical risk minimization: the mean loss over all rows of the batch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .base import Logs, Step, algorithm
from .description import Description
from .risk_objective import RiskObjective


@algorithm("erm")
class ERM(RiskObjective):
    """
    Plain fine-tuning on environment-balanced batches: Σ_e (n_e/n) R_e, where n_e is the number of items that R_e is a
    mean over, which is the mean loss over all of them.
    """

    title = "ERM"

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """The mean over all rows, or tokens."""
        return (shares * risks).sum()

    def describe(self) -> Description:
        """The mean of the risks."""
        return Description(
            f"J(θ) = (1/E) Σ_e R_e(θ){self._l2_term()}",
            "R_e is the mean loss over the rows of environment e. This is plain empirical risk minimization, the "
            "baseline, on batches with the same number of rows from each of the E environments.",
            "nothing but too little data: it learns whatever predicts the label on average over the training "
            "environments",
            "A cue that predicts the label in them and not elsewhere, however its strength differs between them, will "
            "have been learned.",
        )
