"""Rows divided into parts, each environment alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def divide_alike(
    environments: np.ndarray, shares: Mapping[str, float], seed: int, groups: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """
    Divide rows at random so that every part has its share of every environment.

    Args:
        environments (`np.ndarray`): integers of shape (rows,), the environment of each row.
        shares (`Mapping[str, float]`): by the part's name; they sum to 1.
        seed (`int`): of the draw.
        groups (`Sequence[str]`, *optional*): rows of one environment with the same value stay in one part: of texts,
            that no row of one part stands in another.

    Returns:
        `dict[str, np.ndarray]`: by part, the numbers of its rows in ascending order.
    """
    draw = np.random.default_rng(seed)
    bounds = np.cumsum(list(shares.values()))[:-1]
    names = list(shares)
    part = np.empty(len(environments), dtype=np.int64)
    group = np.arange(len(environments)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    for environment in np.unique(environments):
        rows = np.flatnonzero(environments == environment)
        distinct, own = np.unique(group[rows], return_inverse=True)
        place = np.empty(len(distinct))
        place[draw.permutation(len(distinct))] = (np.arange(len(distinct)) + 0.5) / len(distinct)
        part[rows] = np.searchsorted(bounds, place[own])
    return {name: np.flatnonzero(part == k) for k, name in enumerate(names)}
