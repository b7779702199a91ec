"""`MetaIRMTrainer`: adapt to one environment, judge on the others (Bae, Choi & Lee 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils import logging

from ..cards.text import META_IRM_PAPER
from ..gradients import META_GRADIENTS, SCHEMES, StdLoss, meta_gradient, trainable_parameters
from .base import EnvironmentTrainer
from .configs import EnvironmentConfig, annealed_weight, annealing_in_words, at_least_zero, momentum, wrong
from .model_card import Objective


logger = logging.get_logger(__name__)
AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class MetaIRMConfig(EnvironmentConfig):
    """
    Arguments of [`MetaIRMTrainer`]: those of [`EnvironmentConfig`] and the following.

    Args:
        inner_learning_rate (`float`, *optional*, defaults to 0.1):
            α, the step size of the adaptation to one environment.
        inner_steps (`int`, *optional*, defaults to 1):
            T, the number of those steps.
        meta_gradient (`str`, *optional*, defaults to `"exact"`):
            How the second derivative is had: `"exact"` by double backward, `"finite_difference"` from ordinary
            gradients, or `"first_order"`, which drops it.
        finite_difference_scheme (`str`, *optional*, defaults to `"forward"`):
            `"forward"` (one gradient more) or `"central"` (two, and more exact).
        outer_environments (`int` or `"all"`, *optional*, defaults to `"all"`):
            On how many other environments to judge each adapted model: all, or how many to draw.
        same_environment (`bool`, *optional*, defaults to `False`):
            Ablation: judge the adapted model on the environment that it was adapted to.
        std_loss_weight (`float`, *optional*, defaults to 1.0):
            λ, the weight of the standard deviation of the meta-losses.
        std_loss_momentum (`float`, *optional*, defaults to 0.0):
            Momentum of the running means of the meta-losses from which the standard deviation's gradient is taken; 0
            takes the batch's own, which on a few dozen rows is mostly sampling noise.
        penalty_anneal_steps (`int`, *optional*, defaults to 0):
            Before this step λ is min(1, `std_loss_weight`); from it on, the whole weight. Where λ is above 1, the
            whole objective is divided by it.
    """

    inner_learning_rate: float = field(default=0.1, metadata={"help": "Step size of the inner loop (α)."})
    inner_steps: int = field(default=1, metadata={"help": "Steps of the inner loop (T)."})
    meta_gradient: str = field(
        default="exact", metadata={"help": "exact, finite_difference or first_order.", "choices": META_GRADIENTS}
    )
    finite_difference_scheme: str = field(
        default="forward", metadata={"help": "forward or central.", "choices": SCHEMES}
    )
    outer_environments: str = field(
        default="all", metadata={"help": "Outer environments per inner one: all others, or how many to draw."}
    )
    same_environment: bool = field(
        default=False, metadata={"help": "Ablation: judge the adapted model on its own environment."}
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inner_learning_rate > 0:
            raise wrong(self, "inner_learning_rate", "a positive number")
        if self.inner_steps < 1:
            raise wrong(self, "inner_steps", "a whole number from 1 on")
        if self.meta_gradient not in META_GRADIENTS:
            raise wrong(self, "meta_gradient", f"one of {', '.join(META_GRADIENTS)}")
        if self.finite_difference_scheme not in SCHEMES:
            raise wrong(self, "finite_difference_scheme", f"one of {', '.join(SCHEMES)}")
        self._check_outer_environments()
        at_least_zero(self, "std_loss_weight")
        momentum(self, "std_loss_momentum")
        at_least_zero(self, "penalty_anneal_steps")
        if self.environments_per_batch == 1 and not self.same_environment:
            raise wrong(self, "environments_per_batch", "at least 2, since each is judged on the others, or None")

    def _check_outer_environments(self) -> None:
        # The field is declared a string for the command line's sake; a number may come as either.
        if self.outer_environments != "all":
            try:
                number = int(self.outer_environments)
            except ValueError:
                number = 0
            if number < 1:
                raise wrong(self, "outer_environments", 'a whole number from 1 on, or "all"')
            self.outer_environments = number  # type: ignore[assignment]


class MetaIRMTrainer(EnvironmentTrainer):
    """
    Meta-learned invariant risk minimization, the whole objective and its second-order gradient.

    Takes what `transformers.Trainer` takes; `args` is a [`MetaIRMConfig`]. Logged beside the loss and each
    environment's risk: `meta_loss_mean` and `meta_loss_std` (σ). The running means of the meta-losses
    (`std_loss_momentum`) are part of every checkpoint.

    Example:

    ```python
    trainer = MetaIRMTrainer(
        model=model,
        args=MetaIRMConfig("output", environment_column="hospital", per_device_train_batch_size=64),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    trainer.train()
    ```
    """

    args: MetaIRMConfig
    _tag_names = ("meta-irm", "invariant-risk-minimization", "hf-metairm", "out-of-distribution")
    _name = "meta-IRM"
    _paper = META_IRM_PAPER
    _state_name = "running means of the meta-losses"
    _without_state = "start anew, or resume with std_loss_momentum=0"

    def __init__(self, model: Any = None, args: MetaIRMConfig | None = None, **kwargs: Any):
        args = MetaIRMConfig(output_dir="tmp_trainer") if args is None else args
        if not isinstance(args, MetaIRMConfig):
            raise ValueError(f"args is a {type(args).__name__}: MetaIRMTrainer takes a MetaIRMConfig.")
        super().__init__(model, args, **kwargs)
        modules = self.model.modules() if self.model is not None else []
        if args.meta_gradient == "finite_difference" and any(isinstance(m, nn.ReLU) for m in modules):
            logger.warning(
                "The model has ReLUs, whose kinks finite differences see and second derivatives do not: the "
                "meta-gradient will be some percent or more off. Use meta_gradient='exact' where it fits."
            )
        self.std_loss = StdLoss(momentum=args.std_loss_momentum)

    def accumulate_gradient(self, model: nn.Module, batches: dict[int, list[dict[str, Any]]]) -> Tensor:
        """Leave the meta-gradient of `batches` in the parameters' `.grad` and return the objective."""
        args, step = self.args, self.state.global_step
        self.std_loss.weight, self.std_loss.divisor = annealed_weight(
            args.std_loss_weight, step, args.penalty_anneal_steps
        )
        result = meta_gradient(
            model,
            self.risk,
            batches,
            inner_learning_rate=args.inner_learning_rate,
            inner_steps=args.inner_steps,
            kind=args.meta_gradient,
            scheme=args.finite_difference_scheme,
            outer_environments=args.outer_environments,  # type: ignore[arg-type]
            same_environment=args.same_environment,
            std_loss=self.std_loss,
            # Drawn from the seed and the step alone: the same on every process, and after a resume.
            generator=torch.Generator().manual_seed(args.seed * 1_000_003 + step),
            loss_scale=self._loss_scale,
            compute_dtype=AUTOCAST_DTYPES.get(self.accelerator.mixed_precision),
        )
        for parameter, gradient in zip(trainable_parameters(model), result.gradients):
            parameter.grad = gradient.mul_(self._loss_scale)
        self._log_risks(result.risks)
        self.log_with_loss("meta_loss_mean", torch.stack(list(result.meta_losses.values())).mean())
        self.log_with_loss("meta_loss_std", result.deviation)
        return result.objective + self._regularize(model, self.std_loss.divisor)

    def objective_description(self) -> Objective:
        """The meta-losses and σ, with α, λ, T and the kind of meta-gradient."""
        args = self.args
        pairs, drawn = "Σ_i Σ_{j≠i} R_j(θ'_i)", ""
        if args.same_environment:
            pairs, drawn = "Σ_i R_i(θ'_i)", " Each is judged on its own environment, which is an ablation of meta-IRM."
        elif args.outer_environments != "all":
            drawn = f" For each i, {args.outer_environments} of the others are drawn at every step."
        kind = args.meta_gradient.replace("_", " ")
        if args.meta_gradient == "finite_difference":
            kind += f" ({args.finite_difference_scheme})"
        running = (
            f" σ's gradient is taken from running means of the meta-losses with momentum {args.std_loss_momentum:g}."
            if args.std_loss_momentum
            else ""
        )
        return Objective(
            f"J(θ) = {pairs} + λσ{self._l2_term},   θ'_i = θ − α ∇R_i(θ), {args.inner_steps} "
            f"time{'s' * (args.inner_steps > 1)}\n"
            f"α = {args.inner_learning_rate:g}, λ = {args.std_loss_weight:g}, T = {args.inner_steps}, "
            f"meta-gradient: {kind}",
            "R_i is the mean loss over the rows of environment i, θ'_i the model adapted to it, σ the standard "
            f"deviation of the meta-losses R_j(θ'_i).{drawn}{running}"
            f"{annealing_in_words(args.std_loss_weight, args.penalty_anneal_steps)}",
            "cues whose strength differs between the training environments: adapting to one of them must not help "
            "there at the cost of the others",
        )

    def algorithm_state(self) -> dict[str, Any] | None:
        """The running means of the meta-losses, where there are any."""
        return self.std_loss.state_dict() if self.args.std_loss_momentum > 0 else None

    def load_algorithm_state(self, state: dict[str, Any]) -> None:
        """Put back what `algorithm_state` gave."""
        self.std_loss.load_state_dict(state)
