"""Ordered pairs (i, j) of environments: adapt to i, judge on j."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor


Pair = tuple[Any, Any]


def draw_pairs(
    environments: Sequence[Any],
    outer_environments: int | Literal["all"] = "all",
    same_environment: bool = False,
    generator: torch.Generator | None = None,
    both_ways: bool = False,
) -> dict[Any, list[Any]]:
    """
    For each inner environment i the outer environments j on which θ'_i is judged: all others, or `outer_environments`
    of them drawn without replacement, or i itself (the ablation `same_environment`). With `both_ways` j has i where i
    has j, and every pair is still as likely as any other: the environments stand in a circle in an order drawn anew,
    and each has its neighbours, and the one opposite where the number is odd. Where the number of environments is odd,
    too, one of them has one more.

    Raises:
        ValueError: fewer than two environments, or fewer others than are to be drawn.
    """
    if same_environment:
        return {i: [i] for i in environments}
    if len(environments) < 2:
        raise ValueError("meta-IRM judges what it adapted to one environment on another: give at least two.")
    others = {i: [j for j in environments if j != i] for i in environments}
    if outer_environments == "all":
        return others
    if not 1 <= outer_environments < len(environments):
        raise ValueError(
            f"outer_environments={outer_environments} of {len(environments) - 1} other environments cannot be drawn: "
            f'use a number from 1 to {len(environments) - 1}, or "all".'
        )
    if both_ways:
        circle = [environments[k] for k in torch.randperm(len(environments), generator=generator).tolist()]
        count, half = len(circle), len(circle) // 2
        steps = [(k, d) for k in range(count) for d in range(1, outer_environments // 2 + 1)]
        steps += [(k, half) for k in range(count - half)] if outer_environments % 2 else []
        drawn: dict[Any, list[Any]] = {i: [] for i in environments}
        for k, d in steps:
            i, j = circle[k], circle[(k + d) % count]
            drawn[i].append(j)
            drawn[j].append(i)
        return drawn
    return {
        i: [js[k] for k in torch.randperm(len(js), generator=generator)[:outer_environments].tolist()]
        for i, js in others.items()
    }


class PairTable(Mapping[Pair, Tensor]):
    """
    A number for each pair, or for some, in one matrix: a dictionary of tensors would take a hundred times as much
    memory, and 450 environments have 202,050 pairs.

    Args:
        environments (`Sequence`): the environments known so far; one that is met later is added.
        dtype (`torch.dtype`): of the numbers.
        device (`torch.device`): where they are.
        fill (`float`): what stands for a pair that has no number.
    """

    def __init__(self, environments: Sequence[Any], dtype: torch.dtype, device: torch.device, fill: float):
        self._place = {environment: k for k, environment in enumerate(environments)}
        self.fill = fill
        self.matrix = torch.full((len(self._place),) * 2, fill, dtype=dtype, device=device)
        """Shape (E, E): row i, column j holds the number of (i, j)."""

    @property
    def environments(self) -> list[Any]:
        """The environments in the order of the matrix."""
        return list(self._place)

    def __getitem__(self, pair: Pair) -> Tensor:
        i, j = pair
        if i not in self._place or j not in self._place:
            raise KeyError(pair)
        return self.matrix[self._place[i], self._place[j]]

    def __setitem__(self, pair: Pair, value: Tensor | float) -> None:
        self.matrix[self.place(pair)] = value

    def place(self, pair: Pair) -> tuple[int, int]:
        """Row and column of a pair; an environment that is new is added."""
        for environment in pair:
            if environment not in self._place:
                self._place[environment] = len(self._place)
                larger = self.matrix.new_full((len(self._place),) * 2, self.fill)
                larger[:-1, :-1] = self.matrix
                self.matrix = larger
        return self._place[pair[0]], self._place[pair[1]]

    def _present(self) -> Tensor:
        return ~self.matrix.isnan() if self.fill != self.fill else self.matrix != self.fill

    def __iter__(self) -> Iterator[Pair]:
        names = self.environments
        return ((names[i], names[j]) for i, j in self._present().nonzero().tolist())

    def __len__(self) -> int:
        return int(self._present().sum())
