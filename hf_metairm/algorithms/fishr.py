"""Fishr: the variance of the gradients should be the same in all environments (Rame, Dancette & Cord 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..gradients import Risk
from .base import Logs, Step, algorithm
from .description import Description
from .features import FeatureSettings
from .last_layer import OfLastLayer
from .settings import ANNEALING, ComparesEnvironments, PenaltySettings, Range, annealing_in_words, momentum


@dataclass
class FishrSettings(ComparesEnvironments, FeatureSettings, PenaltySettings):
    """
    Settings of Fishr, beside those of [`PenaltySettings`] and [`FeatureSettings`].

    Args:
        fishr_ema (`float`, *optional*, defaults to 0.95):
            γ of the running sums of the variances from which the penalty is taken, as in the authors' code for small
            batches; 0 takes the batch's own, as they do on whole environments. Near 1 the penalty is larger by about
            1/(1 − γ)².

    Raises:
        ValueError: a value that the field cannot take.
    """

    fishr_ema: float = field(
        default=0.95, metadata={"help": "Momentum of the gradient variances' running sums; 0 for full batches."}
    )

    search_space = {"penalty_weight": Range(1e1, 1e5), "penalty_anneal_steps": ANNEALING}  # noqa: RUF012
    on_features = {"penalty_weight": 1e3, "penalty_anneal_steps": 60, "fishr_ema": 0.0}  # noqa: RUF012

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        momentum(self, "fishr_ema")


@algorithm("fishr")
class Fishr(OfLastLayer):
    """
    mean_e R_e + `penalty_weight` · mean_e ‖v_e − v̄‖², v_e the variance over rows of the gradient of the last layer.

    v_e has an entry for each weight and bias of the last linear layer: E[(p − t)²Φ²] − E[(p − t)Φ]², the population
    variance over the rows of the environment. As in Rame et al. 2022 (arXiv 2109.02934, section 3) the squares are
    summed over the weights; the code in DomainBed takes their mean, so that its weight is larger by their number. With
    `fishr_ema` γ above 0, v_e + γ u_e stands in the place of v_e, where u_e = Σ_k γᵏ v_e(k + 1 steps ago): the running
    mean divided by 1 − γ, as in that code. u_e is part of every checkpoint. Logged: `fishr_penalty`.

    Raises:
        ValueError: at the first step, for a model whose loss is not the cross-entropy of its logits, or whose last
            linear layer does not give them; features that are not finite.
    """

    title = "Fishr"
    tags = ("fishr",)
    paper = """@inproceedings{rame2022fishr,
  title={Fishr: Invariant Gradient Variances for Out-of-Distribution Generalization},
  author={Rame, Alexandre and Dancette, Corentin and Cord, Matthieu},
  booktitle={International Conference on Machine Learning},
  year={2022}
}"""
    state_name = "running sums of the gradients' variances"
    without_state = "start anew, or resume with fishr_ema=0"
    Settings = FishrSettings
    settings: FishrSettings

    def __init__(self, settings: FishrSettings, environments: Sequence[str]):
        super().__init__(settings, environments)
        self._sums: Tensor | None = None  # u, in the order of the environments; how wide it is says the first step.

    def statistics(self, model: nn.Module, risk: Risk, inputs: Any) -> Tensor:
        """The risk and the first two moments of the rows' gradients: shape (1 + 2 m d,)."""
        loss, errors, features = self.last_layer_rows(model, risk, inputs)
        errors = errors.to(features)
        mean = errors.T @ features / len(features)
        square = errors.square().T @ features.square() / len(features)
        return torch.cat([loss.reshape(1).to(features), mean.flatten(), square.flatten()])

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """Fishr with the weight of this step, divided by that where it is above 1."""
        self.check_finite(others, environments)
        weight, divisor = self.settings.weight_at(step.number)
        mean, square = others.chunk(2, dim=1)
        logs["fishr_penalty"] = penalty = spread(self._with_earlier(square - mean.square(), environments))
        return (risks.mean() + weight * penalty) / divisor

    def _with_earlier(self, variances: Tensor, environments: Sequence[str]) -> Tensor:
        """The variances of a step with those of earlier ones, which are taken in."""
        ema = self.settings.fishr_ema
        if ema == 0:
            return variances
        if self._sums is None:
            self._sums = variances.new_zeros(len(self.environments), variances.shape[1]).detach()
        rows = [self.environments.index(name) for name in environments]
        summed = variances + ema * self._sums[rows].to(variances)
        self._sums[rows] = summed.detach().to(self._sums)
        return summed

    def describe(self) -> Description:
        """The risks and the distance between the variances, with its weight."""
        s = self.settings
        running = (
            f" v_e is a running sum over the steps, with the factor {s.fishr_ema:g} from one to the next."
            if s.fishr_ema
            else ""
        )
        return Description(
            f"J(θ) = (1/E) Σ_e R_e(θ) + {s.penalty_weight:g} · (1/E) Σ_e ‖v_e − v̄‖²{self._l2_term()}",
            "R_e is the mean loss over the rows of environment e, v_e the variance over these rows of the gradient of "
            f"the loss with respect to the last linear layer, v̄ their mean.{running}"
            f"{annealing_in_words(s.penalty_weight, s.penalty_anneal_steps)}",
            "cues whose strength differs between the training environments, by which the gradients of their rows "
            "scatter differently",
        )

    @property
    def has_state(self) -> bool:
        """Where there are running sums."""
        return self.settings.fishr_ema > 0

    def state_dict(self) -> dict[str, Tensor]:
        """The running sums, a row for each environment, from the first step on."""
        return {} if self._sums is None else {"variances": self._sums}

    def load_state_dict(self, state: dict[str, Tensor], environments: Sequence[str]) -> None:
        """Put the running sums back; those of an environment that is new start anew."""
        if "variances" not in state:
            return
        known = dict(zip(environments, state["variances"]))
        nothing = torch.zeros_like(state["variances"][0])
        self._sums = torch.stack([known.get(name, nothing) for name in self.environments])


def spread(variances: Tensor) -> Tensor:
    r"""
    The penalty of Fishr: mean_e ‖v_e − v̄‖² (Rame et al. 2022, arXiv 2109.02934).

    Args:
        variances (`Tensor`): shape (E, k).

    Returns:
        `Tensor`: a scalar, not negative.
    """
    return (variances - variances.mean(0)).square().sum(1).mean()
