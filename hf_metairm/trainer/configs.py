"""What the Configs share: `transformers.TrainingArguments` with more fields, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments


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
            raise wrong(self, "environments_per_batch", "a positive number, or None for all environments")
        at_least_zero(self, "l2_regularization")


@dataclass
class PenaltyConfig(EnvironmentConfig):
    """
    Arguments of the algorithms that add a weighted penalty to the risks: those of [`EnvironmentConfig`] and the
    following.

    Args:
        penalty_weight (`float`, *optional*, defaults to 1.0):
            The weight of the penalty. The Colored MNIST experiments use 10⁴ to 10⁵, after some hundred steps of
            annealing.
        penalty_anneal_steps (`int`, *optional*, defaults to 0):
            Before this step the weight is min(1, `penalty_weight`); from it on, the whole weight. Where the weight is
            above 1, the whole objective, `l2_regularization` included, is divided by it.

    Raises:
        ValueError: a value that the field cannot take.
    """

    penalty_weight: float = field(default=1.0, metadata={"help": "Weight of the penalty."})
    penalty_anneal_steps: int = field(
        default=0, metadata={"help": "Before this step the weight is at most 1; from it on, whole."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_zero(self, "penalty_weight")
        at_least_zero(self, "penalty_anneal_steps")

    def weight_at(self, step: int) -> tuple[float, float]:
        """The penalty's weight at an optimizer step and what the objective is divided by: see `annealed_weight`."""
        return annealed_weight(self.penalty_weight, step, self.penalty_anneal_steps)


def annealed_weight(weight: float, step: int, anneal_steps: int) -> tuple[float, float]:
    """
    The weight of a penalty at an optimizer step, and what the whole objective is divided by there.

    The schedule of the IRM experiments (Arjovsky et al. 2019): min(1, `weight`) before `anneal_steps`, the whole
    weight from it on; a weight above 1 scales the rest of the objective down instead of the penalty up.
    """
    weight = min(1.0, weight) if step < anneal_steps else weight
    return weight, max(1.0, weight)


def annealing_in_words(weight: float, anneal_steps: int) -> str:
    """What `annealed_weight` does to a run, as sentences; nothing where it does nothing."""
    words = ""
    if anneal_steps and weight > 1:
        words += f" In the first {anneal_steps} steps the weight is 1."
    if weight > 1:
        words += " The whole objective is divided by its weight."
    return words


def wrong(config: Any, name: str, wanted: str) -> ValueError:
    """The refusal of a field's value, with what to use in its place."""
    return ValueError(f"{name}={getattr(config, name)!r} will not do: use {wanted}.")


def at_least_zero(config: Any, name: str) -> None:
    """Refuse a field that is negative."""
    if not getattr(config, name) >= 0:
        raise wrong(config, name, "a number that is not negative")


def momentum(config: Any, name: str) -> None:
    """Refuse a field that is no momentum."""
    if not 0 <= getattr(config, name) < 1:
        raise wrong(config, name, "a number from 0 to just below 1")
