"""Group DRO: the environments weighted by how badly they fare (Sagawa et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .base import Logs, Step, algorithm, aligned
from .description import Description
from .risk_objective import RiskObjective
from .settings import AlgorithmSettings, Range, positive


@dataclass
class GroupDROSettings(AlgorithmSettings):
    """
    Settings of group DRO.

    Args:
        group_dro_step_size (`float`, *optional*, defaults to 0.01):
            η, the step size of the environments' weights per optimizer step, in 1/nats.

    Raises:
        ValueError: a value that the field cannot take.
    """

    group_dro_step_size: float = field(
        default=0.01, metadata={"help": "Step size of the environments' weights (η), per optimizer step."}
    )

    search_space = {"group_dro_step_size": Range(1e-3, 1e0)}  # noqa: RUF012

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        positive(self, "group_dro_step_size")


@algorithm("group-dro")
class GroupDRO(RiskObjective):
    """
    Group distributionally robust optimization: Σ_e q_e R_e, with weights q_e ∝ q_e exp(η R_e) that follow the risks.

    Online algorithm 1 of Sagawa et al. 2020 (arXiv 1911.08731): in each step the weights first, from the joint batch
    of all processes and micro-batches, then the model's parameters. Logged: `weight_<environment>`. The weights are
    part of every checkpoint. Where only some environments are in the batch, the sum over them is scaled up by the
    share that they are of all, so that it is right on average.
    """

    title = "group DRO"
    tags = ("group-dro", "distributionally-robust-optimization")
    paper = """@inproceedings{sagawa2020distributionally,
  title={Distributionally Robust Neural Networks for Group Shifts: On the Importance of Regularization for
    Worst-Case Generalization},
  author={Sagawa, Shiori and Koh, Pang Wei and Hashimoto, Tatsunori B. and Liang, Percy},
  booktitle={International Conference on Learning Representations},
  year={2020}
}"""
    state_name = "weights of the environments"
    Settings = GroupDROSettings
    settings: GroupDROSettings

    def __init__(self, settings: GroupDROSettings, environments: Sequence[str]):
        super().__init__(settings, environments)
        self.log_weights = torch.log_softmax(torch.zeros(len(self.environments), dtype=torch.float64), 0)

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """Move the weights by one step and weigh the risks with them."""
        present = [self.environments.index(name) for name in environments]
        all_risks = torch.zeros(len(self.log_weights), dtype=risks.dtype, device=risks.device)
        all_risks[present] = risks.detach()
        self.log_weights = exponentiated_gradient(
            self.log_weights.to(all_risks), all_risks, self.settings.group_dro_step_size
        )
        weights = self.log_weights.exp()
        logs.update({f"weight_{name}": weights[k] for name, k in zip(environments, present)})
        return weighted_risk(risks, weights[present]) * (len(weights) / len(environments))

    def describe(self) -> Description:
        """The weighted risks, and how the weights follow them."""
        return Description(
            f"J(θ) = Σ_e q_e R_e(θ){self._l2_term()},   q_e ∝ q_e exp(η R_e) at every step,   "
            f"η = {self.settings.group_dro_step_size:g}",
            "R_e is the mean loss over the rows of environment e, q its weight among all, equal at first.",
            "another mix of the training environments than that of the data, the worst of them alone included",
            "A place that is no mix of them is outside what it was trained for, and a cue that works in all of them, "
            "to whatever degree, may have been learned.",
        )

    @property
    def has_state(self) -> bool:
        """Always: the weights."""
        return True

    def state_dict(self) -> dict[str, Tensor]:
        """The logarithms of the weights, in the order of the environments."""
        return {"log_weights": self.log_weights}

    def load_state_dict(self, state: dict[str, Tensor], environments: Sequence[str]) -> None:
        """Put the weights back; those of other environments are refused."""
        if set(environments) != set(self.environments):
            raise ValueError(
                f"The checkpoint weighs the environments {', '.join(environments)}, the data has "
                f"{', '.join(self.environments)}: resume with the data that the run began with, or start anew."
            )
        self.log_weights = aligned(state["log_weights"], environments, self.environments)


def exponentiated_gradient(log_weights: Tensor, risks: Tensor, step_size: float) -> Tensor:
    r"""
    One ascent step on group DRO's weights: q_e ← q_e exp(η R_e) / Σ_f q_f exp(η R_f), as logarithms.

    Algorithm 1 of Sagawa et al. 2020 (arXiv 1911.08731). An environment that is not in the batch takes part with
    R_e = 0: its weight changes by the normalization alone.

    Args:
        log_weights (`Tensor`): log q, shape (E,).
        risks (`Tensor`): shape (E,).
        step_size (`float`): η.

    Returns:
        `Tensor`: the new log q, shape (E,), normalized.
    """
    return torch.log_softmax(log_weights + step_size * risks, dim=0)


def weighted_risk(risks: Tensor, weights: Tensor) -> Tensor:
    r"""
    The objective of group DRO: Σ_e q_e R_e, in which the weights q are constants (Sagawa et al. 2020, algorithm 1).

    Args:
        risks (`Tensor`): shape (E,).
        weights (`Tensor`): q, shape (E,).

    Returns:
        `Tensor`: a scalar.
    """
    return (weights.detach() * risks).sum()
