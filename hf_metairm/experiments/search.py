"""Random search: from which ranges each algorithm's hyper-parameters are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any


# From where to where something uniform is drawn, and what is made of the draw.
Range = tuple[float, float, Callable[[float], Any]]


def _power_of_ten(x: float) -> float:
    return 10**x


def _power_of_two(x: float) -> int:
    return int(2**x)


# Those of the IRM experiments' own search, but for the upper end of the weight's (6 there as well) and what is ours.
COMMON: dict[str, Range] = {
    "hidden_size": (6, 9, _power_of_two),
    "l2_regularization": (-5, -2, _power_of_ten),
    "learning_rate": (-3.5, -2.5, _power_of_ten),
}
_ANNEAL: dict[str, Range] = {"penalty_anneal_steps": (50, 250, int)}
_PENALTY: dict[str, Range] = {**COMMON, **_ANNEAL, "penalty_weight": (2, 6, _power_of_ten)}
RANGES: dict[str, dict[str, Range]] = {
    "erm": COMMON,
    "irmv1": _PENALTY,
    "v-rex": _PENALTY,
    "mm-rex": _PENALTY,
    "irmv2": {**_PENALTY, "gramian_ridge": (-3, 1, _power_of_ten)},
    "fishr": _PENALTY,
    "iga": _PENALTY,
    "ib-irm": {**_PENALTY, "bottleneck_weight": (-1, 3, _power_of_ten)},
    "coral": {**COMMON, "penalty_weight": (-1, 3, _power_of_ten)},
    "fish": {**COMMON, "inner_learning_rate": (-2, 0, _power_of_ten)},
    "meta-irm": {
        **COMMON,
        **_ANNEAL,
        "inner_learning_rate": (-1.5, 0.5, _power_of_ten),
        "std_loss_weight": (0, 4, _power_of_ten),
    },
}


# Where half a thousand steps are too few for some.
STEPS: dict[str, Range] = {"steps": (2.7, 3.2, lambda x: int(10**x))}


def draw(algorithm: str, number: int, more: Mapping[str, Range] | None = None) -> dict[str, Any]:
    """
    The hyper-parameters of an algorithm's trial, by its name and the trial's number alone; `more` are further ranges,
    which change nothing in the others' draws.
    """
    random = Random(f"{algorithm} {number}")
    ranges = {**RANGES[algorithm], **(more or {})}
    return {name: make(random.uniform(low, high)) for name, (low, high, make) in ranges.items()}
