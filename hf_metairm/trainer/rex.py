"""`RExTrainer`: risk extrapolation, a penalty on how far the environments' risks are apart (Krueger et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..objectives import risk_variance, worst_risk_excess
from .base import EnvironmentTrainer
from .configs import PenaltyConfig, annealing_in_words, momentum, wrong
from .model_card import Objective


REX_PENALTIES = {"variance": risk_variance, "maximum": worst_risk_excess}


@dataclass
class RExConfig(PenaltyConfig):
    """
    Arguments of [`RExTrainer`]: those of [`PenaltyConfig`] and the following.

    Args:
        rex_penalty (`str`, *optional*, defaults to `"variance"`):
            `"variance"` for V-REx (the population variance of the risks) or `"maximum"` for MM-REx (how far the
            largest is above the mean).
        penalty_momentum (`float`, *optional*, defaults to 0.0):
            Momentum of the running means of the risks from which the penalty is taken; 0 takes the batch's own, whose
            differences on a few dozen rows are mostly sampling noise.
    """

    rex_penalty: str = field(
        default="variance",
        metadata={"help": "variance (V-REx) or maximum (MM-REx).", "choices": tuple(REX_PENALTIES)},
    )
    penalty_momentum: float = field(
        default=0.0, metadata={"help": "Momentum of the risks' running means, for small batches."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rex_penalty not in REX_PENALTIES:
            raise wrong(self, "rex_penalty", f"one of {', '.join(REX_PENALTIES)}")
        momentum(self, "penalty_momentum")
        if self.environments_per_batch == 1:
            raise wrong(self, "environments_per_batch", "at least 2, since their risks are compared, or None")


@dataclass
class MMRExConfig(RExConfig):
    """[`RExConfig`] with `rex_penalty="maximum"`."""

    rex_penalty: str = field(
        default="maximum", metadata={"help": "maximum (MM-REx), and nothing else.", "choices": ("maximum",)}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rex_penalty != "maximum":
            raise wrong(self, "rex_penalty", '"maximum", or RExConfig for V-REx')


class RExTrainer(EnvironmentTrainer):
    """
    V-REx, Σ_e R_e + `penalty_weight` · Var{R_e}, or MM-REx, Σ_e R_e + `penalty_weight` · (max_e R_e − R̄).

    Takes what `transformers.Trainer` takes; `args` is a [`RExConfig`]. Logged beside the loss and each environment's
    risk: `rex_penalty`. With `penalty_momentum` m, the penalty and its derivative with respect to each R_e are those
    at the running means R̂_e ← m R̂_e + (1 − m) R_e, bias-corrected as in Adam, which are part of every checkpoint.
    """

    args: RExConfig
    _tag_names = ("rex", "risk-extrapolation", "hf-metairm", "out-of-distribution")
    _paper = """@inproceedings{krueger2021out,
  title={Out-of-Distribution Generalization via Risk Extrapolation (REx)},
  author={Krueger, David and Caballero, Ethan and Jacobsen, Joern-Henrik and Zhang, Amy and Binas, Jonathan and
    Zhang, Dinghuai and Le Priol, Remi and Courville, Aaron},
  booktitle={International Conference on Machine Learning},
  year={2021}
}"""
    _state_name = "running means of the risks"
    _without_state = "start anew, or resume with penalty_momentum=0"

    def __init__(self, model: Any = None, args: RExConfig | None = None, **kwargs: Any):
        args = RExConfig(output_dir="tmp_trainer") if args is None else args
        if not isinstance(args, RExConfig):
            raise ValueError(f"args is a {type(args).__name__}: RExTrainer takes a RExConfig.")
        self._name = "V-REx" if args.rex_penalty == "variance" else "MM-REx"
        # By name of the environment: the running mean before its correction, and of how many values.
        self._running: dict[str, tuple[Tensor, int]] = {}
        super().__init__(model, args, **kwargs)

    def objective_of(self, risks: Tensor, others: Tensor, environments: list[int]) -> Tensor:
        """REx with the weight of this step, divided by that where it is above 1."""
        weight, divisor = self.args.weight_at(self.state.global_step)
        # The running mean in value, the risk itself in the derivative.
        smoothed = risks + (self._running_means(risks.detach(), environments) - risks.detach())
        penalty = REX_PENALTIES[self.args.rex_penalty](smoothed)
        self.log_with_loss("rex_penalty", penalty)
        return (risks.sum() + weight * penalty) / divisor

    @property
    def objective_divisor(self) -> float:
        """The weight of this step, or 1 if that is larger."""
        return self.args.weight_at(self.state.global_step)[1]

    def objective_description(self) -> Objective:
        """The risks and how far they are apart, with the penalty's weight."""
        args = self.args
        penalty = "Var_e R_e(θ)" if args.rex_penalty == "variance" else "(max_e R_e(θ) − mean_e R_e(θ))"
        running = (
            f" The penalty is taken from running means of the risks with momentum {args.penalty_momentum:g}."
            if args.penalty_momentum
            else ""
        )
        return Objective(
            f"J(θ) = Σ_e R_e(θ) + {args.penalty_weight:g} · {penalty}{self._l2_term}",
            "R_e is the mean loss over the rows of environment e."
            f"{running}{annealing_in_words(args.penalty_weight, args.penalty_anneal_steps)}",
            "differences between the training environments that make their risks differ, and more of the same",
        )

    def _running_means(self, risks: Tensor, environments: list[int]) -> Tensor:
        """Take the risks of a step in, and return the bias-corrected running means."""
        m = self.args.penalty_momentum
        if m == 0:
            return risks
        means = []
        for name, risk in zip((self.environment_names[e] for e in environments), risks):
            mean, count = self._running.get(name, (torch.zeros_like(risk), 0))
            mean, count = m * mean.to(risk) + (1 - m) * risk, count + 1
            self._running[name] = (mean, count)
            means.append(mean / (1 - m**count))
        return torch.stack(means)

    def algorithm_state(self) -> dict[str, Any] | None:
        """The running means of the risks, where there are any."""
        if self.args.penalty_momentum == 0:
            return None
        return {"running_risks": {name: [float(mean), count] for name, (mean, count) in self._running.items()}}

    def load_algorithm_state(self, state: dict[str, Any]) -> None:
        """Put back what `algorithm_state` gave."""
        self._running = {
            name: (torch.tensor(mean, dtype=torch.float64), count)
            for name, (mean, count) in state["running_risks"].items()
        }
