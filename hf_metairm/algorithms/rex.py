"""V-REx and MM-REx: a penalty on how far the environments' risks are apart (Krueger et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .base import Logs, Step, algorithm, aligned
from .description import Description
from .risk_objective import WeightedPenalty
from .settings import ANNEALING, ComparesEnvironments, PenaltySettings, Range, annealing_in_words, momentum, wrong


REX_PENALTIES = ("variance", "maximum")


@dataclass
class RExSettings(ComparesEnvironments, PenaltySettings):
    """
    Settings of V-REx and MM-REx.

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
        metadata={"help": "variance (V-REx) or maximum (MM-REx).", "choices": REX_PENALTIES},
    )
    penalty_momentum: float = field(
        default=0.0, metadata={"help": "Momentum of the risks' running means, for small batches."}
    )

    search_space = {"penalty_weight": Range(1e1, 1e5), "penalty_anneal_steps": ANNEALING}  # noqa: RUF012
    on_features = {"penalty_weight": 1e3, "penalty_anneal_steps": 60}  # noqa: RUF012

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        if self.rex_penalty not in REX_PENALTIES:
            raise wrong(self, "rex_penalty", f"one of {', '.join(REX_PENALTIES)}")
        momentum(self, "penalty_momentum")


@dataclass
class MMRExSettings(RExSettings):
    """[`RExSettings`] with `rex_penalty="maximum"`."""

    rex_penalty: str = field(
        default="maximum", metadata={"help": "maximum (MM-REx), and nothing else.", "choices": ("maximum",)}
    )

    search_space = {"penalty_weight": Range(1e0, 1e4), "penalty_anneal_steps": ANNEALING}  # noqa: RUF012
    on_features = {"penalty_weight": 1e2, "penalty_anneal_steps": 60}  # noqa: RUF012

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        if self.rex_penalty != "maximum":
            raise wrong(self, "rex_penalty", '"maximum", or RExConfig for V-REx')


class REx(WeightedPenalty):
    """
    Σ_e R_e + `penalty_weight` · the penalty of a subclass. Logged: `rex_penalty`.

    With `penalty_momentum` m, the penalty and its derivative with respect to each R_e are those at the running means
    R̂_e ← m R̂_e + (1 − m) R_e, bias-corrected as in Adam, which are part of every checkpoint.
    """

    tags = ("rex", "risk-extrapolation")
    paper = """@inproceedings{krueger2021out,
  title={Out-of-Distribution Generalization via Risk Extrapolation (REx)},
  author={Krueger, David and Caballero, Ethan and Jacobsen, Joern-Henrik and Zhang, Amy and Binas, Jonathan and
    Zhang, Dinghuai and Le Priol, Remi and Courville, Aaron},
  booktitle={International Conference on Machine Learning},
  year={2021}
}"""
    state_name = "running means of the risks"
    without_state = "start anew, or resume with penalty_momentum=0"
    Settings = RExSettings
    settings: RExSettings
    penalty: Callable[[Tensor], Tensor]
    penalty_formula = ""

    def __init__(self, settings: RExSettings, environments: Sequence[str]):
        super().__init__(settings, environments)
        # The running means before their correction, and of how many values: both in the order of the environments.
        self._means = torch.zeros(len(self.environments), dtype=torch.float64)
        self._counts = torch.zeros(len(self.environments), dtype=torch.int64)

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """REx with the weight of this step, divided by that where it is above 1."""
        weight, divisor = self.settings.weight_at(step.number)
        # The running mean in value, the risk itself in the derivative.
        smoothed = risks + (self._running_means(risks.detach(), environments) - risks.detach())
        logs["rex_penalty"] = penalty = type(self).penalty(smoothed)
        return (risks.sum() + weight * penalty) / divisor

    def describe(self) -> Description:
        """The risks and how far they are apart, with the penalty's weight."""
        s = self.settings
        running = (
            f" The penalty is taken from running means of the risks with momentum {s.penalty_momentum:g}."
            if s.penalty_momentum
            else ""
        )
        return Description(
            f"J(θ) = Σ_e R_e(θ) + {s.penalty_weight:g} · {self.penalty_formula}{self._l2_term()}",
            "R_e is the mean loss over the rows of environment e."
            f"{running}{annealing_in_words(s.penalty_weight, s.penalty_anneal_steps)}",
            "differences between the training environments that make their risks differ, and more of the same",
        )

    def _running_means(self, risks: Tensor, environments: Sequence[str]) -> Tensor:
        """Take the risks of a step in, and return the bias-corrected running means."""
        m = self.settings.penalty_momentum
        if m == 0:
            return risks
        rows = [self.environments.index(name) for name in environments]
        self._means[rows] = m * self._means[rows] + (1 - m) * risks.to("cpu", torch.float64)
        self._counts[rows] += 1
        return (self._means[rows] / (1 - m ** self._counts[rows])).to(risks)

    @property
    def has_state(self) -> bool:
        """Where there are running means."""
        return self.settings.penalty_momentum > 0

    def state_dict(self) -> dict[str, Tensor]:
        """The running means before their correction, and of how many risks each is."""
        return {"risk_means": self._means, "risk_counts": self._counts} if self.has_state else {}

    def load_state_dict(self, state: dict[str, Tensor], environments: Sequence[str]) -> None:
        """Put the running means back; those of an environment that is new start anew."""
        self._means = aligned(state["risk_means"], environments, self.environments)
        self._counts = aligned(state["risk_counts"], environments, self.environments)


def risk_variance(risks: Tensor) -> Tensor:
    r"""
    The penalty of V-REx: the population variance of the risks, mean_e (R_e − R̄)².

    V-REx's objective is Σ_e R_e + weight · Var{R_e} (Krueger et al. 2021, arXiv 2003.00688, section 3.2). The authors'
    Colored MNIST code has (R_1 − R_2)² in place of the variance, which is four times as large.

    Args:
        risks (`Tensor`): shape (E,).

    Returns:
        `Tensor`: a scalar.
    """
    return risks.var(correction=0)


def worst_risk_excess(risks: Tensor) -> Tensor:
    r"""
    The penalty of MM-REx: max_e R_e − R̄.

    The objective here is Σ_e R_e + weight · (max_e R_e − R̄). MM-REx minimizes (1 − E λ) max_e R_e + λ Σ_e R_e for a
    λ ≤ 1/E (Krueger et al. 2021, arXiv 2003.00688, section 3.1); E times that, with weight = E (1 − E λ), is the form
    here. Weight 0 is ERM, weight E (λ = 0) robust optimization of E times the worst risk, and beyond it the worst-case
    mixture is extrapolated. For two environments the penalty is |R_1 − R_2| / 2. Where several risks are the largest
    they share the gradient.

    Args:
        risks (`Tensor`): shape (E,).

    Returns:
        `Tensor`: a scalar, not negative.
    """
    return risks.amax() - risks.mean()


@algorithm("v-rex")
class VREx(REx):
    """Σ_e R_e + `penalty_weight` · Var{R_e}, the population variance of the risks."""

    title = "V-REx"
    penalty = staticmethod(risk_variance)
    penalty_formula = "Var_e R_e(θ)"


@algorithm("mm-rex")
class MMREx(REx):
    """Σ_e R_e + `penalty_weight` · (max_e R_e − R̄)."""

    title = "MM-REx"
    Settings = MMRExSettings
    settings: MMRExSettings
    penalty = staticmethod(worst_risk_excess)
    penalty_formula = "(max_e R_e(θ) − mean_e R_e(θ))"
