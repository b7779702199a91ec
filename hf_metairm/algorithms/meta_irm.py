"""Meta-IRM: adapt to one environment, judge on the others (Bae, Choi & Lee 2021)."""

from __future__ import annotations

import logging
import math
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from ..gradients import (
    AUTO,
    KINDS,
    REDUCTIONS,
    SCHEMES,
    SMALL_ALPHA,
    Choice,
    Parts,
    Risk,
    StdLoss,
    check_model,
    choose_kind,
    meta_gradient,
)
from .base import Algorithm, Step, StepGradient, algorithm, aligned
from .description import Description
from .settings import (
    ANNEALING,
    AlgorithmSettings,
    Range,
    annealed_weight,
    annealing_in_words,
    at_least_zero,
    momentum,
    positive,
    wrong,
)


logger = logging.getLogger(__name__)
_WARNED_OF: WeakSet[nn.Module] = WeakSet()
# What the setting takes: any kind, also one that is registered later.
CHOICES: ChainMap[str, Any] = ChainMap(KINDS, {AUTO: choose_kind})
# Above this relative error a meta-gradient is warned of, and one that was chosen by itself is replaced.
TOO_FAR_OFF = 0.1
FAR_OFF = "crossed differences were too far off at the first step"
# Of the state: whether crossed differences stand (1) or not (0); −1 where that is not known.
CROSSED = "crossed_differences"


@dataclass
class MetaIRMSettings(AlgorithmSettings):
    """
    Settings of meta-IRM.

    Args:
        inner_learning_rate (`float`, *optional*, defaults to 0.1):
            α, the step size of the adaptation to one environment.
        inner_steps (`int`, *optional*, defaults to 1):
            T, the number of those steps.
        meta_gradient (`str`, *optional*, defaults to `"auto"`):
            How the Hessian-vector product is computed: `"exact"` by double backward, `"finite_difference"` from
            ordinary gradients, `"crossed_difference"` from those that are there anyway (for small α), or
            `"first_order"`, which drops it. `"auto"` takes `"exact"` for models of up to ten million parameters,
            `"crossed_difference"` for α up to 0.02 on larger ones unless it is more than 10 % off at the first step,
            and else `"finite_difference"`.
        meta_gradient_check_steps (`int`, *optional*, defaults to 500):
            On the first step and every so many, measure how far a crossed or forward difference is off, which is
            logged as `meta_gradient_error` and costs about two more steps; 0 for never.
        finite_difference_scheme (`str`, *optional*, defaults to `"forward"`):
            `"forward"` (one gradient more) or `"central"` (two, and more exact).
        outer_environments (`int` or `"all"`, *optional*, defaults to `"all"`):
            On how many other environments to judge each adapted model: all, or how many to draw.
        same_environment (`bool`, *optional*, defaults to `False`):
            Ablation: judge the adapted model on the environment that it was adapted to.
        meta_loss_reduction (`str`, *optional*, defaults to `"sum"`):
            `"sum"` of the meta-losses, as published, or `"mean"`, twice their mean: then λ, the L2 term and the loss
            weigh the same for any number of environments. For two environments the one is the other.
        std_loss_weight (`float`, *optional*, defaults to 1.0):
            λ, the weight of the standard deviation of the meta-losses.
        std_loss_momentum (`float`, *optional*, defaults to 0.0):
            Momentum of the running means of the meta-losses from which the standard deviation's gradient is taken; 0
            takes the batch's own, which on a few dozen rows is mostly sampling noise. Means are kept for each pair,
            or where `outer_environments` are drawn for each inner environment.
        penalty_anneal_steps (`int`, *optional*, defaults to 0):
            Before this step λ is min(1, `std_loss_weight`); from it on, the whole weight. Where λ is above 1, the
            whole objective is divided by it.
    """

    inner_learning_rate: float = field(default=0.1, metadata={"help": "Step size of the inner loop (α)."})
    inner_steps: int = field(default=1, metadata={"help": "Steps of the inner loop (T)."})
    meta_gradient: str = field(
        default=AUTO,
        metadata={"help": "How the Hessian-vector product is computed.", "choices": CHOICES},
    )
    meta_gradient_check_steps: int = field(
        default=500, metadata={"help": "Every so many steps, measure the meta-gradient's error; 0 for never."}
    )
    finite_difference_scheme: str = field(
        default="forward",
        metadata={
            "help": "forward or central.",
            "choices": SCHEMES,
        },
    )
    outer_environments: str = field(
        default="all", metadata={"help": "Outer environments per inner one: all others, or how many to draw."}
    )
    same_environment: bool = field(
        default=False, metadata={"help": "Ablation: judge the adapted model on its own environment."}
    )
    meta_loss_reduction: str = field(
        default="sum",
        metadata={
            "help": "sum of the meta-losses, or mean: twice their mean, whatever the number of environments.",
            "choices": REDUCTIONS,
        },
    )
    std_loss_weight: float = field(
        default=1.0, metadata={"help": "Weight of the meta-losses' standard deviation (λ)."}
    )
    std_loss_momentum: float = field(
        default=0.0, metadata={"help": "Momentum of the meta-losses' running means, for small batches."}
    )
    penalty_anneal_steps: int = field(
        default=0, metadata={"help": "Before this step the weight is at most 1; from it on, whole."}
    )

    search_space = {  # noqa: RUF012
        "inner_learning_rate": Range(1e-3, 3e-1),
        "std_loss_weight": Range(1e1, 1e4),
        "penalty_anneal_steps": ANNEALING,
    }
    # Standardized features make steps large: a small α, or the model goes past the invariant point.
    on_features = {  # noqa: RUF012
        "inner_learning_rate": 0.01,
        "std_loss_weight": 1e3,
        "penalty_anneal_steps": 60,
    }
    on_own_data = {"meta_loss_reduction": "mean"}  # noqa: RUF012
    used_if = {  # noqa: RUF012
        "finite_difference_scheme": {"meta_gradient": "finite_difference"},
        "meta_gradient_check_steps": {"meta_gradient": (AUTO, "crossed_difference", "finite_difference")},
    }

    @property
    def fewest_environments(self) -> int:
        """Two, since each is judged on the others."""
        return 1 if self.same_environment else 2

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        positive(self, "inner_learning_rate")
        if self.inner_steps < 1:
            raise wrong(self, "inner_steps", "a whole number from 1 on")
        if self.meta_gradient not in CHOICES:
            raise wrong(self, "meta_gradient", f"one of {', '.join(CHOICES)}")
        if self.meta_gradient in KINDS:
            KINDS[self.meta_gradient]().check_objective(self.inner_steps, self.same_environment)
        if self.meta_gradient_check_steps < 0:
            raise wrong(self, "meta_gradient_check_steps", "a number of steps, or 0 for never")
        if self.finite_difference_scheme not in SCHEMES:
            raise wrong(self, "finite_difference_scheme", f"one of {', '.join(SCHEMES)}")
        if self.meta_loss_reduction not in REDUCTIONS:
            raise wrong(self, "meta_loss_reduction", f"one of {', '.join(REDUCTIONS)}")
        self._check_outer_environments()
        at_least_zero(self, "std_loss_weight")
        momentum(self, "std_loss_momentum")
        at_least_zero(self, "penalty_anneal_steps")

    def _check_outer_environments(self) -> None:
        # The field is declared a string for the command line's sake; a number may come as either.
        if self.outer_environments != "all":
            try:
                number = int(self.outer_environments)
            except ValueError:
                number = 0
            if number < 1:
                raise wrong(self, "outer_environments", 'a whole number from 1 on, or "all"')
            self.outer_environments = number  # type: ignore[assignment]  # See above.


@algorithm("meta-irm")
class MetaIRM(Algorithm):
    """
    Meta-learned invariant risk minimization, the whole objective and its second-order gradient; see
    [`~hf_metairm.gradients.meta_gradient`]. Logged: `meta_loss_mean`, `meta_loss_std` (σ) and, at steps where it is
    measured, `meta_gradient_error`. The running means of the meta-losses (`std_loss_momentum`) are part of every
    checkpoint, and so is what the first step's error decided (`meta_gradient="auto"`).
    """

    title = "meta-IRM"
    tags = ("meta-irm", "invariant-risk-minimization")
    paper = """@article{bae2021meta,
  title={Meta-Learned Invariant Risk Minimization},
  author={Bae, Jun-Hyun and Choi, Inchul and Lee, Minho},
  journal={arXiv preprint arXiv:2103.12947},
  year={2021}
}"""
    gentler = "a smaller α (inner_learning_rate) or λ (std_loss_weight), or a later penalty_anneal_steps"
    state_name = "running means of the meta-losses"
    without_state = "start anew, or resume with std_loss_momentum=0"
    Settings = MetaIRMSettings
    settings: MetaIRMSettings

    def __init__(self, settings: MetaIRMSettings, environments: Sequence[str]):
        super().__init__(settings, environments)
        self.std_loss = StdLoss(
            momentum=settings.std_loss_momentum,
            environments=self.environments,
            by_inner=settings.outer_environments != "all" and not settings.same_environment,
        )
        self._choice: Choice | None = None
        self._stands: bool | None = None  # Whether its error on the first batch let a provisional choice stand.
        self._warned = False
        if settings.std_loss_momentum == 0:
            self.state_name = "choice of meta_gradient"
            self.without_state = "start anew, or resume with the meta_gradient that it was trained with"

    def check(self, model: nn.Module, share: int) -> None:
        """A model that the kind of meta-gradient can be right for."""
        kind = self._chosen(model).kind
        check_model(model, KINDS[kind](self.settings.finite_difference_scheme))
        kinked = kind == "finite_difference" and any(isinstance(m, nn.ReLU) for m in model.modules())
        if kinked and model not in _WARNED_OF:
            _WARNED_OF.add(model)
            logger.warning(
                "The model has ReLUs, whose kinks finite differences see and second derivatives do not: the "
                "meta-gradient will be some percent or more off. Use meta_gradient='exact' where it fits."
            )

    def objective_gradient(self, model: nn.Module, risk: Risk, batches: Parts, step: Step) -> StepGradient:
        """The meta-gradient, with λ as it is at this step."""
        s = self.settings
        self.std_loss.weight, self.std_loss.divisor = annealed_weight(
            s.std_loss_weight, step.number, s.penalty_anneal_steps
        )
        if self._choice is None:
            self._take(self._chosen(model))
        assert self._choice is not None
        every = s.meta_gradient_check_steps
        found = meta_gradient(
            model,
            risk,
            batches,
            inner_learning_rate=s.inner_learning_rate,
            inner_steps=s.inner_steps,
            kind=self._choice.kind,
            scheme=s.finite_difference_scheme,
            outer_environments="all" if s.outer_environments == "all" else int(s.outer_environments),
            same_environment=s.same_environment,
            reduction=s.meta_loss_reduction,
            std_loss=self.std_loss,
            # Drawn from the seed and the step alone: the same on every process, and after a resume.
            generator=torch.Generator().manual_seed(step.seed * 1_000_003 + step.number),
            loss_scale=step.loss_scale,
            compute_dtype=step.compute_dtype,
            measure_error=every > 0 and (step.number % every == 0 or self._choice.provisional),
        )
        logs = {"meta_loss_mean": found.meta_losses.matrix.nanmean(), "meta_loss_std": found.deviation}
        # Not where fp16 overflowed: that step is left out anyway.
        if found.error is not None and math.isfinite(error := float(found.error)):
            logs["meta_gradient_error"] = found.error
            self._judge(error, step)
        gradients = [g if used else None for g, used in zip(found.gradients, found.used)]
        return StepGradient(gradients, found.objective, found.risks, logs)

    def _chosen(self, model: nn.Module) -> Choice:
        """The kind that the settings name, or the one for this model."""
        s = self.settings
        if s.meta_gradient != AUTO:
            return Choice(s.meta_gradient, "")
        choice = choose_kind(model, s.inner_learning_rate, s.inner_steps, s.same_environment)
        if not choice.provisional or s.meta_gradient_check_steps == 0 or self._stands is None:
            return replace(choice, provisional=choice.provisional and s.meta_gradient_check_steps > 0)
        return replace(choice, provisional=False) if self._stands else Choice("finite_difference", FAR_OFF)

    def _take(self, choice: Choice) -> None:
        self._choice = choice
        if choice.because:
            logger.info("meta_gradient is %r: %s.", choice.kind, choice.because)

    def _judge(self, error: float, step: Step) -> None:
        """What follows from the meta-gradient's relative error."""
        assert self._choice is not None
        if self._choice.provisional:
            self._stands = error <= TOO_FAR_OFF
            if self._stands:
                self._choice = replace(self._choice, provisional=False)
            else:
                self._take(Choice("finite_difference", f"{FAR_OFF} ({error:.0%})"))
        elif error > TOO_FAR_OFF and not self._warned:
            self._warned = True
            kind = self._choice.kind
            other = "meta_gradient='finite_difference'"
            if kind == "finite_difference":
                other = "finite_difference_scheme='central', or meta_gradient='exact' where the model has ReLUs"
            logger.warning(
                f"The meta-gradient ({kind}) is {error:.0%} off at step {step.number} (meta_gradient_error): use a "
                f"smaller inner_learning_rate than {self.settings.inner_learning_rate:g}, or {other}."
            )

    def divisor(self, step: Step) -> float:
        """λ of this step, or 1 if that is larger."""
        return annealed_weight(self.settings.std_loss_weight, step.number, self.settings.penalty_anneal_steps)[1]

    def describe(self) -> Description:
        """The meta-losses and σ, with α, λ, T and the kind of meta-gradient."""
        s = self.settings
        pairs, drawn = "Σ_i Σ_{j≠i} R_j(θ'_i)", ""
        if s.same_environment:
            pairs, drawn = "Σ_i R_i(θ'_i)", " Each is judged on its own environment, which is an ablation of meta-IRM."
        elif s.outer_environments != "all":
            drawn = f" For each i, {s.outer_environments} of the others are drawn at every step."
        if s.meta_loss_reduction == "mean":
            pairs = f"(2/n) {pairs}"
            drawn += " n is the number of meta-losses in a step."
        taken = self._choice.kind if self._choice else s.meta_gradient
        kind = taken.replace("_", " ")
        if taken == "finite_difference":
            kind += f" ({s.finite_difference_scheme})"
        if s.meta_gradient == AUTO and taken != AUTO:
            kind += ", chosen by the model's size and α"
        running = (
            f" σ's gradient is taken from running means of the meta-losses with momentum {s.std_loss_momentum:g}."
            if s.std_loss_momentum
            else ""
        )
        return Description(
            f"J(θ) = {pairs} + λσ{self._l2_term()},   θ'_i = θ − α ∇R_i(θ), {s.inner_steps} "
            f"time{'s' * (s.inner_steps > 1)}\n"
            f"α = {s.inner_learning_rate:g}, λ = {s.std_loss_weight:g}, T = {s.inner_steps}, "
            f"meta-gradient: {kind}",
            "R_i is the mean loss over the rows of environment i, θ'_i the model adapted to it, σ the standard "
            f"deviation of the meta-losses R_j(θ'_i).{drawn}{running}"
            f"{annealing_in_words(s.std_loss_weight, s.penalty_anneal_steps)}",
            "cues whose strength differs between the training environments: adapting to one of them must not help "
            "there at the cost of the others",
        )

    @property
    def has_state(self) -> bool:
        """Where there are running means, or a choice that the first step's error decides."""
        return self.settings.std_loss_momentum > 0 or self._may_cross

    @property
    def _may_cross(self) -> bool:
        """Whether a model could be large enough for crossed differences to be chosen, as far as settings say."""
        s = self.settings
        once = s.inner_steps == 1 and not s.same_environment and s.inner_learning_rate <= SMALL_ALPHA
        return s.meta_gradient == AUTO and s.meta_gradient_check_steps > 0 and once

    def state_dict(self) -> dict[str, Tensor]:
        """The running means of the meta-losses, and whether crossed differences stand, where there is such a thing."""
        state = self.std_loss.state_dict() if self.settings.std_loss_momentum > 0 else {}
        if self._may_cross:
            state[CROSSED] = torch.tensor(-1 if self._stands is None else int(self._stands))
        return state

    def load_state_dict(self, state: dict[str, Tensor], environments: Sequence[str]) -> None:
        """Put the state back; running means of a pair with an environment that is new start anew."""
        stands = int(state.get(CROSSED, -1))
        self._stands = None if stands < 0 else bool(stands)
        means = {name: values for name, values in state.items() if name != CROSSED}
        known = {name: aligned(values, environments, self.environments) for name, values in means.items()}
        self.std_loss.load_state_dict(known, self.environments)
