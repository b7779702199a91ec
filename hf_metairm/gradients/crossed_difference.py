"""Second-order meta-gradients from the gradients of the inner and outer loop alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .finite_difference import references_for, refuse_half_precision
from .kinds import KINDS, Kind
from .oracles import InPlaceOracle
from .pairs import Pair, PairTable
from .parameters import Vector, add_
from .problem import Found, Problem


# Inner gradients are kept up to so many bytes of them; two always are.
KEPT_BYTES = 2**28


@KINDS.register("crossed_difference")
class CrossedDifference(Kind[InPlaceOracle]):
    """
    With g_i = ∇R_i(θ) and G_ij = ∇R_j(θ'_i), θ'_i = θ − α g_i,

        α H_i G_ij = α H_i g_j + O(α²) = g_i − G_ji + O(α²),

    and G_ji is a gradient that the outer loop computes anyway. So

        ∇J = Σ_ij w_ij (G_ij − α H_i G_ij) = Σ_ij (w_ij + w_ji) G_ij − Σ_i (Σ_j w_ij) g_i + O(α²)

    with one gradient for each environment and each ordered pair, and no Hessian product. On quadratic risks the exact
    gradient has α² Σ_ij w_ij H_i H_j g_i more, and that is all. For one inner step, and for pairs drawn both ways.

    The weight of G_ij holds w_ji, and w_ij = a + b x_ij is known only when all pairs are evaluated. Where the inner
    gradients may be kept (`KEPT_BYTES`: with two environments, one drawn, or few trained parameters as LoRA's), the
    two gradients of a pair are computed together, S = G_ij + G_ji in one place, and Σ (2S − g_i − g_j) and
    Σ ((x_ij + x_ji) S − x_ij g_i − x_ji g_j) are carried along and mixed at the end: no gradient is computed twice.
    Elsewhere a pass ahead finds the w_ij, for one gradient more an environment and a forward pass for each pair, and
    memory is flat in E: θ, one inner gradient and one sum. With λ = 0 all weights are alike, and neither is needed.

    The difference of G_ji and g_i is one of the same function only if the rows of environment i draw the same dropout
    masks at θ and at every θ'_j: they do, and batch-norm statistics move once for each environment.
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
        """The gradient of the objective: pair by pair, or by inner environments where the weights come first."""
        order = [(i, j) for i, outer in problem.pairs.items() for j in outer if i < j]
        # Where one environment has a pair more than the others, its pairs come first, one after the other.
        order.sort(key=lambda pair: -max(len(problem.pairs[e]) for e in pair))
        problem.std_loss.start(problem.drawn)
        if problem.std_loss.weight != 0 and _may_be_kept(problem, order):
            return self._by_pairs(problem, order)
        weights: PairTable | None = None
        if problem.std_loss.weight != 0:
            theta = problem.oracle.theta
            weights = problem.survey(lambda i: (theta, problem.oracle.joint_gradient(i, theta)[1]))
        return self._by_inner(problem, weights)

    def _by_pairs(self, problem: Problem[InPlaceOracle], order: Sequence[Pair]) -> Found:
        """With inner gradients that are kept as long as they are needed."""
        oracle, std_loss, names = problem.oracle, problem.std_loss, list(problem.pairs)
        processes, alpha = oracle.processes, problem.inner_learning_rate
        pairs_left = Counter(e for pair in order for e in pair)
        risks: dict[Any, Tensor] = {}
        gradients: dict[Any, Vector] = {}
        tables: tuple[PairTable, ...] = ()
        plain: Vector | None = None
        weighted: Vector | None = None
        for i, j in order:
            for e in (i, j):
                if e not in gradients:
                    risks[e], gradients[e] = oracle.joint_gradient(e, oracle.theta)
            here, both = oracle.gradient(j, oracle.theta, gradients[i], -alpha)
            there, both = oracle.gradient(i, oracle.theta, gradients[j], -alpha, into=both)
            processes.add([here, there])
            processes.add_gradients(both)
            tables = tables or (problem.table(here), problem.table(here))
            meta_losses, values = tables
            meta_losses[i, j], meta_losses[j, i] = here, there
            x = values[i, j] = std_loss.observe((i, j), here)
            y = values[j, i] = std_loss.observe((j, i), there)
            weighted = add_(weighted, _crossed(both, gradients[i], gradients[j], x, y))
            torch._foreach_mul_(both, 2)
            torch._foreach_sub_(both, gradients[i])
            torch._foreach_sub_(both, gradients[j])
            plain = add_(plain, both)
            pairs_left.subtract((i, j))
            gradients = {e: g for e, g in gradients.items() if pairs_left[e]}
            del both
        assert plain is not None
        assert weighted is not None
        a, b = std_loss.mix(problem.sum_weight)
        torch._foreach_mul_(plain, a)
        plain = add_(plain, weighted, b)
        return Found(plain, {e: risks[e] for e in names}, tables[0], problem.weights_from(tables[1]))

    def _by_inner(self, problem: Problem[InPlaceOracle], weights: PairTable | None) -> Found:
        """With w_ij that are known: one inner environment after the other, one sum. `None` for weights all alike."""
        oracle, alpha = problem.oracle, problem.inner_learning_rate
        processes = oracle.processes
        # The sum is over this process's rows until the end, and a joint gradient has those of all.
        share = 1.0 if processes.shards else 1.0 / processes.count
        alike = problem.sum_weight / problem.std_loss.divisor
        risks: dict[Any, Tensor] = {}
        meta_losses: PairTable | None = None
        total: Vector | None = None
        for i, outer in problem.pairs.items():
            risks[i], gradient = oracle.joint_gradient(i, oracle.theta)
            for j in outer:
                times = 2 * alike if weights is None else weights[i, j] + weights[j, i]
                loss, total = oracle.gradient(j, oracle.theta, gradient, -alpha, into=total, times=times)
                processes.add([loss])
                if meta_losses is None:
                    meta_losses = problem.table(loss)
                meta_losses[i, j] = loss
                if weights is None:
                    problem.std_loss.observe((i, j), loss)
            assert total is not None
            own = alike * len(outer) if weights is None else sum(weights[i, j] for j in outer)
            total = add_(total, gradient, -own * share)
            del gradient
        assert total is not None
        assert meta_losses is not None
        processes.add_gradients(total)
        if weights is None:
            weights = problem.table(loss)
            weights.matrix = torch.where(meta_losses.matrix.isnan(), math.nan, alike)
        return Found(total, risks, meta_losses, weights)

    def references(self, model: nn.Module) -> list[Kind[Any]]:
        """Double backward where the model is small and has it, else the central difference."""
        return references_for(model, self.compute_dtype)


def _may_be_kept(problem: Problem[InPlaceOracle], order: Sequence[Pair]) -> bool:
    """Whether the inner gradients that are needed at a time are two, or small enough together."""
    last = {e: number for number, pair in enumerate(order) for e in pair}
    begun: set[Any] = set()
    most = 0
    for number, pair in enumerate(order):
        begun |= set(pair)
        most = max(most, len(begun))
        begun -= {e for e in pair if last[e] == number}
    # Of whole parameters where they are sharded, so that every process decides alike.
    return most <= 2 or most * sum(p.numel() * p.element_size() for p in problem.oracle.parameters) <= KEPT_BYTES


def _crossed(both: Vector, g: Vector, h: Vector, x: Tensor, y: Tensor) -> Vector:
    """(x + y) S − x g − y h."""
    return add_(add_(add_(None, both, x + y), g, -x), h, -y)
