"""Settings as dataclasses that check themselves, alone or as a part of a `transformers.TrainingArguments`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


class Settings:
    """
    The root of every dataclass of settings. One that combines several with `TrainingArguments` lists that one last, so
    that its `__post_init__` comes first and the checks see its fields, too.
    """

    used_if: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Of a field that only counts with another's value: which field, and which value, or a tuple of them."""

    def __post_init__(self) -> None:
        following = getattr(super(), "__post_init__", None)
        if following is not None:
            following()
        self.check_settings()

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""


@dataclass(frozen=True)
class Range:
    """
    From where to where a search of hyper-parameters looks.

    Args:
        low (`float`), high (`float`): both are looked at, too.
        log (`bool`, *optional*, defaults to `True`): whether evenly on the scale of the logarithm.
        whole (`bool`, *optional*, defaults to `False`): whether at whole numbers only.
    """

    low: float
    high: float
    log: bool = True
    whole: bool = False


# Of the steps after which a weight is whole, in a training of a head that takes 300.
ANNEALING = Range(30, 120, log=False, whole=True)


@dataclass
class AlgorithmSettings(Settings):
    """
    What every algorithm takes.

    Args:
        l2_regularization (`float`, *optional*, defaults to 0.0):
            Weight of Σθ² over all trainable parameters in the objective itself, as in the IRM experiments (Arjovsky
            et al. 2019), besides AdamW's decoupled `weight_decay`.

    Raises:
        ValueError: a value that the field cannot take.
    """

    l2_regularization: float = field(
        default=0.0, metadata={"help": "Weight of the sum of squared parameters in the objective."}
    )

    search_space: ClassVar[Mapping[str, Range]] = {}
    """Where `hf-metairm tune` looks for the algorithm's own fields, for a head on standardized features."""
    on_features: ClassVar[Mapping[str, Any]] = {}
    """What they are there by default."""
    on_own_data: ClassVar[Mapping[str, Any]] = {}
    """What `hf-metairm train` and `tune` take for text where nothing is said, features or not."""

    @property
    def fewest_environments(self) -> int:
        """How many environments a batch needs at least."""
        return 1

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        at_least_zero(self, "l2_regularization")


class ComparesEnvironments:
    """Settings of an algorithm that compares environments with each other."""

    @property
    def fewest_environments(self) -> int:
        """Two: one alone has nothing to be compared with."""
        return 2


@dataclass
class PenaltySettings(AlgorithmSettings):
    """
    Settings of the algorithms that add a weighted penalty to the risks.

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

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
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


def wrong(settings: Any, name: str, wanted: str) -> ValueError:
    """The refusal of a field's value, with what to use in its place."""
    return ValueError(f"{name}={getattr(settings, name)!r} is refused: use {wanted}.")


def at_least_zero(settings: Any, name: str) -> None:
    """Refuse a field that is negative or not finite."""
    if not 0 <= getattr(settings, name) < math.inf:
        raise wrong(settings, name, "a finite number that is not negative")


def positive(settings: Any, name: str) -> None:
    """Refuse a field that is not above zero, or not finite."""
    if not 0 < getattr(settings, name) < math.inf:
        raise wrong(settings, name, "a finite positive number")


def momentum(settings: Any, name: str) -> None:
    """Refuse a field that is no momentum."""
    if not 0 <= getattr(settings, name) < 1:
        raise wrong(settings, name, "a number from 0 to just below 1")
