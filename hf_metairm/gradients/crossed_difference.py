"""Second-order meta-gradients from the gradients of the inner and outer loop alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .finite_difference import references_for, refuse_half_precision
from .kinds import KINDS, Kind
from .oracles import InPlaceOracle
from .pairs import Pair, PairTable
from .parameters import Vector, add_
from .problem import Found, Problem


# How many inner gradients are kept. With fewer, more of them are computed again; each takes as much memory as θ.
KEPT = 3


@KINDS.register("crossed_difference")
class CrossedDifference(Kind[InPlaceOracle]):
    """
    With g_i = ∇R_i(θ) and G_ij = ∇R_j(θ'_i), θ'_i = θ − α g_i,

        α H_i G_ij = α H_i g_j + O(α²) = g_i − G_ji + O(α²),

    and G_ji is a gradient that the outer loop computes anyway. So

        ∇J = Σ_ij w_ij (G_ij − α H_i G_ij) = Σ_ij (w_ij + w_ji) G_ij − Σ_i (Σ_j w_ij) g_i + O(α²)

    with one gradient for each environment and each ordered pair, and no Hessian product. On quadratic risks the exact
    gradient has α² Σ_ij w_ij H_i H_j g_i more, and that is all. For one inner step, and for pairs drawn both ways.

    w_ij = a + b x_ij is known when all pairs are evaluated, and that of (i, j) stands beside G_ji. So the two of a
    pair are computed together, S = G_ij + G_ji in one place, and Σ (2S − g_i − g_j) and Σ ((x_ij + x_ji) S − x_ij g_i
    − x_ji g_j) are carried along and mixed at the end. A pass ahead that finds the w_ij would cost a third of a
    gradient for each pair and one for each environment. This costs nothing up to three environments, and beyond them
    the inner gradients that do not fit among the `KEPT` ones: at E = 4 one more beside 16, at E = 8 nine beside 64.
    Memory does not grow with E beyond three: θ, three inner gradients, S and two sums; at E = 2 θ, two and S.

    The difference of G_ji and g_i is one of the same function only if the rows of environment i draw the same dropout
    masks at θ and at every θ'_j: they do, and batch-norm statistics are those at θ.
    """

    both_ways = True
    one_mask = True

    def check(self, model: nn.Module) -> None:
        """Parameters that are fine enough."""
        refuse_half_precision(model)

    def check_objective(self, inner_steps: int, same_environment: bool) -> None:
        """One inner step, and other environments to judge on."""
        if inner_steps != 1:
            raise ValueError(
                f"meta_gradient='crossed_difference' takes the Hessian from the outer gradients, which is right for "
                f"one inner step and not for inner_steps={inner_steps}: use meta_gradient='finite_difference'."
            )
        if same_environment:
            raise ValueError(
                "meta_gradient='crossed_difference' draws the same dropout masks for an environment in the inner and "
                "the outer loop, which same_environment=True would take for fitting them: use "
                "meta_gradient='finite_difference'."
            )

    def differentiate(self, problem: Problem[InPlaceOracle]) -> Found:
        """The gradient of the objective, one unordered pair after the other."""
        oracle, std_loss, names = problem.oracle, problem.std_loss, list(problem.pairs)
        processes, alpha = oracle.processes, problem.inner_learning_rate
        order = in_blocks(problem.pairs)
        risks: dict[Any, Tensor] = {}
        gradients = _Kept(order)
        tables: tuple[PairTable, PairTable] | None = None
        plain: Vector | None = None
        weighted: Vector | None = None
        std_loss.start(2 * len(order))
        for i, j in order:
            for e in (i, j):
                if e not in gradients:
                    gradients.make_room((i, j))
                    risks[e], gradients[e] = oracle.joint_gradient(e, oracle.theta)
            here, both = oracle.gradient(j, oracle.theta, gradients[i], -alpha)
            there, both = oracle.gradient(i, oracle.theta, gradients[j], -alpha, into=both)
            processes.add([here, there])
            processes.add_gradients(both)
            if tables is None:
                tables = tuple(PairTable(names, here.dtype, here.device, math.nan) for _ in range(2))  # type: ignore
            assert tables is not None
            meta_losses, values = tables
            meta_losses[i, j], meta_losses[j, i] = here, there
            x = values[i, j] = std_loss.observe((i, j), here)
            y = values[j, i] = std_loss.observe((j, i), there)
            if std_loss.weight != 0:
                weighted = add_(weighted, _crossed(both, gradients[i], gradients[j], x, y))
            for s, g, h in zip(both, gradients[i], gradients[j]):
                s.mul_(2).sub_(g).sub_(h)
            plain = add_(plain, both)
            gradients.done(i, j)
            del both
        assert plain is not None
        assert tables is not None
        a, b = std_loss.mix(problem.sum_weight)
        for k, p in enumerate(plain):
            p.mul_(a)
            if weighted is not None:
                p.addcmul_(weighted[k], b)
        return Found(plain, {e: risks[e] for e in names}, tables[0], problem.weights_from(tables[1]))

    def references(self, model: nn.Module) -> list[Kind]:
        """Double backward where the model is small and has it, else the central difference."""
        return references_for(model, self.compute_dtype)


class _Kept(dict[Any, Vector]):
    """Inner gradients, as long as they are needed and there is room for them."""

    def __init__(self, order: Sequence[Pair]):
        super().__init__()
        self._uses: dict[Any, deque[int]] = {}
        for number, pair in enumerate(order):
            for e in pair:
                self._uses.setdefault(e, deque()).append(number)

    def make_room(self, needed: Pair) -> None:
        """Let go of the one that is needed last, where `KEPT` of them are there."""
        if len(self) >= KEPT:
            del self[max((e for e in self if e not in needed), key=lambda e: self._uses[e][0])]

    def done(self, *pair: Any) -> None:
        """Let go of what no later pair needs."""
        for e in pair:
            self._uses[e].popleft()
            if not self._uses[e]:
                del self[e]


def in_blocks(pairs: Mapping[Any, Sequence[Any]]) -> list[Pair]:
    """
    The unordered pairs, in an order in which few inner gradients must be computed again: some environments' stay while
    all others pass by, and the last of these begins the next block.
    """
    partners = {i: set(outer) for i, outer in pairs.items()}
    waiting, order = list(pairs), []
    while waiting:
        block, waiting = waiting[: KEPT - 1], waiting[KEPT - 1 :]
        order += [(i, j) for number, j in enumerate(block) for i in block[:number] if j in partners[i]]
        order += [(i, j) for j in waiting for i in block if j in partners[i]]
        waiting.reverse()
    return order


def _crossed(both: Vector, g: Vector, h: Vector, x: Tensor, y: Tensor) -> Vector:
    """(x + y) S − x g − y h."""
    return [(s * (x + y)).addcmul_(a, x, value=-1).addcmul_(b, y, value=-1) for s, a, b in zip(both, g, h)]
