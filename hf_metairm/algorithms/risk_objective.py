"""The algorithms whose objective is a function of the environments' risks, and of a few more of their statistics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..gradients import Parts, Risk, gradient_of_objective
from .base import Algorithm, Logs, Step, StepGradient
from .settings import PenaltySettings


class RiskObjective(Algorithm):
    """
    An objective J(s_1, …, s_E), where s_e are statistics of environment e that are means over its rows, the first of
    them its risk. A subclass says what J is, and which further statistics it needs.
    """

    @abstractmethod
    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """
        The objective, called once in a step, alike on every process.

        Args:
            risks (`Tensor`): of the environments in the batch, shape (E,).
            others (`Tensor`): their other statistics, shape (E, k).
            environments (`Sequence[str]`): their names.
            shares (`Tensor`): each one's share of what the losses are means over (rows, or tokens), shape (E,).
            step ([`Step`]): which step it is.
            logs (`dict[str, Tensor]`): takes what is to be logged.

        Returns:
            `Tensor`: a scalar.
        """

    def statistics(self, model: nn.Module, risk: Risk, inputs: Any) -> Tensor:
        """The statistics of some rows of one environment, shape (1 + k,): here the risk alone."""
        return risk(model, inputs).reshape(1)

    def objective_gradient(self, model: nn.Module, risk: Risk, batches: Parts, step: Step) -> StepGradient:
        """The gradient of J, with each environment's risk."""
        environments = sorted(batches)
        items = torch.tensor([float(batches[e][0].items) for e in environments])
        logs: Logs = {}

        def objective(joint: Tensor) -> Tensor:
            shares = (items / items.sum()).to(joint)
            return self.objective(joint[:, 0], joint[:, 1:], environments, shares, step, logs)

        found = gradient_of_objective(
            model,
            lambda model, inputs: self.statistics(model, risk, inputs),
            objective,
            {e: batches[e] for e in environments},
            step.loss_scale,
        )
        risks = dict(zip(environments, found.statistics[:, 0]))
        return StepGradient(found.gradients, found.objective, risks, {k: v.detach() for k, v in logs.items()})


class WeightedPenalty(RiskObjective):
    """A [`RiskObjective`] with a penalty whose weight is annealed, and by which the objective is divided."""

    Settings = PenaltySettings
    settings: PenaltySettings
    gentler = "a smaller penalty_weight, or a later penalty_anneal_steps"

    def divisor(self, step: Step) -> float:
        """The weight of this step, or 1 if that is larger."""
        return self.settings.weight_at(step.number)[1]
