"""An algorithm that looks at more than the risks: spectral decoupling."""

from __future__ import annotations

import torch

from hf_metairm.algorithms.base import algorithm
from hf_metairm.algorithms.risk_objective import RiskObjective


@algorithm("spectral-decoupling")
class SpectralDecoupling(RiskObjective):
    """mean_e (R_e + (0.1 / 2) E‖logits‖²), the mean over the rows of environment e."""

    title = "spectral decoupling"

    def statistics(self, model, risk, inputs):
        """The risk and the mean squared logit of some rows, shape (2,)."""
        found = risk.evaluate(model, inputs)
        return torch.stack([found.loss, found.logits.pow(2).sum(-1).mean()])

    def objective(self, risks, others, environments, shares, step, logs):
        """Risk and penalty; `others` has shape (E, 1)."""
        return (risks + 0.1 / 2 * others[:, 0]).mean()
