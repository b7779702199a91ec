"""What a kind of meta-gradient is given, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from .oracles import Oracle
from .pairs import PairTable
from .parameters import Vector
from .std_loss import StdLoss


OracleT = TypeVar("OracleT", bound=Oracle)


@dataclass
class Problem(Generic[OracleT]):
    """
    The meta-IRM objective on the batches of one step.

    Args:
        oracle ([`Oracle`]): evaluates the environments' risks.
        pairs (`dict`): for each inner environment i the outer environments j.
        std_loss ([`StdLoss`]): λσ, which is told every meta-loss once.
        sum_weight (`float`): what stands before Σ L_ij.
        inner_learning_rate (`float`): α.
        inner_steps (`int`, *optional*, defaults to 1): T.
        weights ([`PairTable`], *optional*): w_ij, where they are known; `std_loss` is then told nothing.
    """

    oracle: OracleT
    pairs: dict[Any, list[Any]]
    std_loss: StdLoss
    sum_weight: float
    inner_learning_rate: float
    inner_steps: int = 1
    weights: PairTable | None = None

    @property
    def drawn(self) -> int:
        """How many ordered pairs there are."""
        return sum(len(outer) for outer in self.pairs.values())

    def table(self, like: Tensor) -> PairTable:
        """A table without a number yet, for numbers such as this one."""
        return PairTable(list(self.pairs), like.dtype, like.device, math.nan)

    def survey(self, adapt: Callable[[Any], tuple[Vector, Vector]]) -> PairTable:
        """
        w_ij of every pair, from a pass over the meta-losses alone.

        Args:
            adapt (`Callable`): gives, for an inner environment i, θᵀ⁻¹ and ∇R_i there.
        """
        table: PairTable | None = None
        for i, outer in self.pairs.items():
            point, gradient = adapt(i)
            for j in outer:
                loss = self.oracle.loss(j, point, gradient, -self.inner_learning_rate)
                self.oracle.processes.add([loss])
                table = self.table(loss) if table is None else table
                table[i, j] = self.std_loss.observe((i, j), loss)
            del point, gradient
        assert table is not None
        return self.weights_from(table)

    def weights_from(self, values: PairTable) -> PairTable:
        """w_ij = a + b x_ij of every pair, from what [`StdLoss.observe`] gave; written into the same table."""
        a, b = self.std_loss.mix(self.sum_weight)
        values.matrix.mul_(b).add_(a)
        return values


@dataclass
class Found:
    """
    What a kind found.

    Args:
        gradient (list of `Tensor`): ∇J, over the rows of all processes.
        risks (`dict[Any, Tensor]`): R_i(θ) of each inner environment i.
        meta_losses ([`PairTable`]): L_ij of each pair.
        weights ([`PairTable`]): w_ij of each pair.
    """

    gradient: Vector
    risks: dict[Any, Tensor]
    meta_losses: PairTable
    weights: PairTable
