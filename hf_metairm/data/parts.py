"""Rows divided into parts, each environment alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def divide_alike(
    environments: np.ndarray, shares: Mapping[str, float], seed: int, groups: Sequence[Any] | None = None
) -> dict[str, np.ndarray]:
    """
    Divide rows at random so that every part has its share of every environment.

    Args:
        environments (`np.ndarray`): integers of shape (rows,), the environment of each row.
        shares (`Mapping[str, float]`): by the part's name; they sum to 1.
        seed (`int`): of the draw.
        groups (`Sequence`, *optional*): rows with the same value stay in one part, whatever their environments: of
            texts, that no row of one part stands in another.

    Returns:
        `dict[str, np.ndarray]`: by part, the numbers of its rows in ascending order.
    """
    draw = np.random.default_rng(seed)
    bounds = np.cumsum(list(shares.values()))[:-1]
    names = list(shares)
    group = np.arange(len(environments)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    part = np.full(group.max(initial=-1) + 1, -1)  # of each group
    for environment in np.unique(environments):
        distinct = np.unique(group[environments == environment])
        new = distinct[part[distinct] < 0]
        place = np.empty(len(new))
        place[draw.permutation(len(new))] = (np.arange(len(new)) + 0.5) / len(new)
        part[new] = np.searchsorted(bounds, place)
    return {name: np.flatnonzero(part[group] == k) for k, name in enumerate(names)}
