"""Fish: the gradients of the environments' risks should point the same way (Shi et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from ..gradients import FirstOrder, Parts, Risk, check_model, gradient_along_path
from .base import Algorithm, Step, StepGradient, algorithm
from .description import Description
from .settings import AlgorithmSettings, ComparesEnvironments, Range, positive


@dataclass
class FishSettings(ComparesEnvironments, AlgorithmSettings):
    """
    Settings of Fish.

    Args:
        inner_learning_rate (`float`, *optional*, defaults to 0.1):
            α, the size of the steps from one environment to the next.

    Raises:
        ValueError: a value that the field cannot take.
    """

    inner_learning_rate: float = field(default=0.1, metadata={"help": "Step size of the inner loop (α)."})

    search_space = {"inner_learning_rate": Range(1e-3, 1e0)}  # noqa: RUF012

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        positive(self, "inner_learning_rate")


@algorithm("fish")
class Fish(Algorithm):
    """
    Inter-domain gradient matching by its first-order algorithm (Shi et al. 2022, arXiv 2104.09937, algorithm 1).

    From θ one SGD step of size α = `inner_learning_rate` on each environment in turn, in an order that is drawn anew
    in every optimizer step, leads to θ̃; then θ ← θ + ε(θ̃ − θ). The optimizer is given (θ − θ̃)/(αE), the mean of the
    gradients on the way: with SGD of learning rate εαE its step is the published one, with another optimizer the same
    direction is followed by its rules, as Reptile does. Averaged over the orders, and but for terms of second order in
    α, it is the gradient of (1/E) Σ_e R_e − (α/2E) Σ_{i<j} ∇R_i · ∇R_j. DomainBed has Adam in the inner loop, too, and
    takes the environments in the order of the batch.

    The steps in between are taken on the joint batch of all micro-batches and processes. Which order depends on the
    seed and the number of the step alone. What is logged as an environment's risk is that at its turn.
    """

    title = "Fish"
    tags = ("fish", "gradient-matching")
    paper = """@inproceedings{shi2022gradient,
  title={Gradient Matching for Domain Generalization},
  author={Shi, Yuge and Seely, Jeffrey and Torr, Philip H. S. and Siddharth, N. and Hannun, Awni and
    Usunier, Nicolas and Synnaeve, Gabriel},
  booktitle={International Conference on Learning Representations},
  year={2022}
}"""
    gentler = "a smaller inner_learning_rate, or a lower learning rate"
    Settings = FishSettings
    settings: FishSettings

    def check(self, model: nn.Module, share: int) -> None:
        """A model that can be evaluated at other parameters than its own."""
        check_model(model, FirstOrder())

    def objective_gradient(self, model: nn.Module, risk: Risk, batches: Parts, step: Step) -> StepGradient:
        """(θ − θ̃)/(αE), with the mean of the risks on the way in the place of an objective."""
        names = sorted(batches)
        # Drawn from the seed and the step alone: the same on every process, and after a resume.
        generator = torch.Generator().manual_seed(step.seed * 1_000_003 + step.number)
        order = [names[k] for k in torch.randperm(len(names), generator=generator)]
        found = gradient_along_path(
            model, risk, batches, order, self.settings.inner_learning_rate, loss_scale=step.loss_scale
        )
        gradients = [g if used else None for g, used in zip(found.gradients, found.used)]
        risks = {name: found.risks[name] for name in names}
        return StepGradient(gradients, torch.stack(list(risks.values())).mean(), risks)

    def describe(self) -> Description:
        """What the path follows, with α."""
        alpha = self.settings.inner_learning_rate
        return Description(
            f"J(θ) = (1/E) Σ_e R_e(θ) − (α / 2E) Σ_{{i<j}} ∇R_i(θ) · ∇R_j(θ){self._l2_term()},   α = {alpha:g}",
            "R_e is the mean loss over the rows of environment e. The gradient of J is not computed, but "
            "approximated, up to terms of order α², by the mean of the gradients along SGD steps of size α on one "
            "environment after the other, in an order drawn anew every time.",
            "cues by which a step that helps one training environment does not help another",
        )
