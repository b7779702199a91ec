"""The Configs: `transformers.TrainingArguments` with the fields of each algorithm, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments

from ..meta_gradient import META_GRADIENTS, SCHEMES


@dataclass
class EnvironmentConfig(TrainingArguments):
    """
    Arguments of [`EnvironmentTrainer`]: `transformers.TrainingArguments` and the following.

    `per_device_train_batch_size` counts the examples of all environments in the batch together; each gets an equal
    share of them.

    Args:
        environment_column (`str`, *optional*, defaults to `"environment"`):
            The column that names each row's environment: strings, integers or a `ClassLabel`.
        environments_per_batch (`int`, *optional*):
            Environments in one batch, drawn anew each step; all of them if `None`.
        l2_regularization (`float`, *optional*, defaults to 0.0):
            Weight of Σθ² over all trainable parameters in the objective itself, as in the IRM experiments (Arjovsky
            et al. 2019), besides AdamW's decoupled `weight_decay`.

    Raises:
        ValueError: a value that the field cannot take.
    """

    environment_column: str = field(
        default="environment", metadata={"help": "The column that names each row's environment."}
    )
    environments_per_batch: int | None = field(
        default=None, metadata={"help": "Environments in one batch, drawn anew each step; all of them if None."}
    )
    l2_regularization: float = field(
        default=0.0, metadata={"help": "Weight of the sum of squared parameters in the objective."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.environments_per_batch is not None and self.environments_per_batch < 1:
            raise _wrong(self, "environments_per_batch", "a positive number, or None for all environments")
        _at_least_zero(self, "l2_regularization")


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
            raise _wrong(self, "inner_learning_rate", "a positive number")
        if self.inner_steps < 1:
            raise _wrong(self, "inner_steps", "a whole number from 1 on")
        if self.meta_gradient not in META_GRADIENTS:
            raise _wrong(self, "meta_gradient", f"one of {', '.join(META_GRADIENTS)}")
        if self.finite_difference_scheme not in SCHEMES:
            raise _wrong(self, "finite_difference_scheme", f"one of {', '.join(SCHEMES)}")
        self._check_outer_environments()
        _at_least_zero(self, "std_loss_weight")
        if not 0 <= self.std_loss_momentum < 1:
            raise _wrong(self, "std_loss_momentum", "a number from 0 to just below 1")
        _at_least_zero(self, "penalty_anneal_steps")
        if self.environments_per_batch == 1 and not self.same_environment:
            raise _wrong(self, "environments_per_batch", "at least 2, since each is judged on the others, or None")

    def _check_outer_environments(self) -> None:
        # The field is declared a string for the command line's sake; a number may come as either.
        if self.outer_environments != "all":
            try:
                number = int(self.outer_environments)
            except ValueError:
                number = 0
            if number < 1:
                raise _wrong(self, "outer_environments", 'a whole number from 1 on, or "all"')
            self.outer_environments = number  # type: ignore[assignment]


def annealed_weight(weight: float, step: int, anneal_steps: int) -> tuple[float, float]:
    """
    The weight of a penalty at an optimizer step, and what the whole objective is divided by there.

    The schedule of the IRM experiments (Arjovsky et al. 2019): min(1, `weight`) before `anneal_steps`, the whole
    weight from it on; a weight above 1 scales the rest of the objective down instead of the penalty up.
    """
    weight = min(1.0, weight) if step < anneal_steps else weight
    return weight, max(1.0, weight)


def _wrong(config: Any, name: str, wanted: str) -> ValueError:
    return ValueError(f"{name}={getattr(config, name)!r} will not do: use {wanted}.")


def _at_least_zero(config: Any, name: str) -> None:
    if not getattr(config, name) >= 0:
        raise _wrong(config, name, "a number that is not negative")
