"""`GroupDROTrainer`: the environments weighted by how badly they fare (Sagawa et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..objectives import exponentiated_gradient, weighted_risk
from .base import EnvironmentTrainer
from .configs import EnvironmentConfig, wrong
from .model_card import Objective


@dataclass
class GroupDROConfig(EnvironmentConfig):
    """
    Arguments of [`GroupDROTrainer`]: those of [`EnvironmentConfig`] and the following.

    Args:
        group_dro_step_size (`float`, *optional*, defaults to 0.01):
            η, the step size of the environments' weights per optimizer step, in 1/nats.

    Raises:
        ValueError: a value that the field cannot take.
    """

    group_dro_step_size: float = field(
        default=0.01, metadata={"help": "Step size of the environments' weights (η), per optimizer step."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.group_dro_step_size > 0:
            raise wrong(self, "group_dro_step_size", "a positive number")


class GroupDROTrainer(EnvironmentTrainer):
    """
    Group distributionally robust optimization: Σ_e q_e R_e, with weights q_e ∝ q_e exp(η R_e) that follow the risks.

    Online algorithm 1 of Sagawa et al. 2020 (arXiv 1911.08731): in each step the weights first, from the joint batch
    of all processes and micro-batches, then the model's parameters. Takes what `transformers.Trainer` takes; `args` is
    a [`GroupDROConfig`]. Logged beside the loss and each environment's risk: `weight_<environment>`. The weights are
    part of every checkpoint. With `environments_per_batch` the sum over the environments drawn is scaled up by the
    share that they are of all, so that it is right on average.
    """

    args: GroupDROConfig
    _tag_names = ("group-dro", "distributionally-robust-optimization", "hf-metairm", "out-of-distribution")
    _name = "group DRO"
    _paper = """@inproceedings{sagawa2020distributionally,
  title={Distributionally Robust Neural Networks for Group Shifts: On the Importance of Regularization for
    Worst-Case Generalization},
  author={Sagawa, Shiori and Koh, Pang Wei and Hashimoto, Tatsunori B. and Liang, Percy},
  booktitle={International Conference on Learning Representations},
  year={2020}
}"""
    _state_name = "weights of the environments"

    def __init__(self, model: Any = None, args: GroupDROConfig | None = None, **kwargs: Any):
        args = GroupDROConfig(output_dir="tmp_trainer") if args is None else args
        if not isinstance(args, GroupDROConfig):
            raise ValueError(f"args is a {type(args).__name__}: GroupDROTrainer takes a GroupDROConfig.")
        super().__init__(model, args, **kwargs)
        names = () if self.environments is None else self.environments.names
        self.log_weights = torch.log_softmax(torch.zeros(len(names), dtype=torch.float64), 0)

    def objective_of(self, risks: Tensor, others: Tensor, environments: list[int]) -> Tensor:
        """Move the weights by one step and weigh the risks with them."""
        present = torch.tensor(environments, device=risks.device)
        all_risks = torch.zeros(len(self.log_weights), dtype=risks.dtype, device=risks.device)
        all_risks[present] = risks.detach()
        self.log_weights = exponentiated_gradient(
            self.log_weights.to(all_risks), all_risks, self.args.group_dro_step_size
        )
        weights = self.log_weights.exp()
        for e in environments:
            self.log_with_loss(f"weight_{self.environment_names[e]}", weights[e])
        return weighted_risk(risks, weights[present]) * (len(weights) / len(environments))

    def objective_description(self) -> Objective:
        """The weighted risks, and how the weights follow them."""
        return Objective(
            f"J(θ) = Σ_e q_e R_e(θ){self._l2_term},   q_e ∝ q_e exp(η R_e) at every step,   "
            f"η = {self.args.group_dro_step_size:g}",
            "R_e is the mean loss over the rows of environment e, q its weight among all, equal at first.",
            "another mix of the training environments than that of the data, the worst of them alone included",
            "A place that is no mix of them is outside what it was trained for, and a cue that works in all of them, "
            "to whatever degree, may have been learned.",
        )

    def algorithm_state(self) -> dict[str, Any]:
        """The logarithms of the weights, by name of the environment."""
        assert self.environments is not None
        return {"log_weights": dict(zip(self.environments.names, self.log_weights.tolist()))}

    def load_algorithm_state(self, state: dict[str, Any]) -> None:
        """Put back what `algorithm_state` gave."""
        assert self.environments is not None
        weights = state["log_weights"]
        if set(weights) != set(self.environments.names):
            raise ValueError(
                f"The checkpoint weighs the environments {', '.join(weights)}, the data has "
                f"{', '.join(self.environments.names)}: resume with the data that the run began with, or start anew."
            )
        self.log_weights = torch.tensor([weights[name] for name in self.environments.names], dtype=torch.float64)
