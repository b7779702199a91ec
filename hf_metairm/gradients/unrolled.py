"""The kinds that multiply by a Hessian for each inner step, or leave it out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .kinds import KINDS, Kind
from .oracles import Oracle
from .pairs import PairTable
from .parameters import Vector, add_
from .problem import Found, OracleT, Problem
from .replay import Randomness, buffers_kept
from .risks import Environment


@dataclass
class Linearization:
    """
    R_e(θ), ∇R_e(θ) and v ↦ H_e(θ) v, all over the rows of all processes.

    Args:
        risk (`Tensor`): a scalar.
        gradient (list of `Tensor`): shaped like the parameters.
        hessian_times (`Callable`): maps v to H v; to be called once.
    """

    risk: Tensor
    gradient: Vector
    hessian_times: Callable[[Vector], Vector]


class Unrolled(Kind[OracleT]):
    """
    With w_ij = dJ/dL_ij (see [`StdLoss`]), for each inner environment i

        v ← Σ_j w_ij ∇R_j(θ'_i);   for t = T−1 … 0: v ← v − α H_i(θᵗ) v;   ∇J = Σ_i v.

    One inner environment is worked on at a time and its graph dropped before the next, so memory does not grow with
    the number of environments. Where an inner environment has several outer ones and λ > 0, the meta-losses are
    evaluated once more, ahead of their gradients, to know σ. A subclass says how H v is computed.
    """

    @abstractmethod
    def linearize(self, oracle: OracleT, environment: Environment, point: Vector) -> Linearization:
        """The risk of an environment at `point`, with its gradient and its Hessian."""

    def differentiate(self, problem: Problem[OracleT]) -> Found:
        """The gradient of the objective, one inner environment after the other."""
        oracle, pairs, std_loss = problem.oracle, problem.pairs, problem.std_loss
        processes, alpha = oracle.processes, problem.inner_learning_rate
        # w_ij depends on σ, which is not known before the last pair is evaluated. Where each i has one j,
        # w_ij = a + b x_ij is a factor of the whole v_i, and Σ v_i and Σ x_ij v_i can be mixed at the end. Else σ is
        # computed first, in a pass of its own: one vector goes through each Hessian, and memory stays flat.
        weights = problem.weights
        if weights is None:
            std_loss.start(problem.drawn)
            if std_loss.weight != 0 and problem.drawn > len(pairs):
                weights = self._survey(problem)
        values: PairTable | None = None
        plain: Vector | None = None
        weighted: Vector | None = None
        risks: dict[Any, Tensor] = {}
        meta_losses: PairTable | None = None
        for i, outer in pairs.items():
            steps, point = self._adapt(problem, i)
            risks[i] = steps[0].risk
            vector: Vector | None = None
            for j in outer:
                loss, gradient = oracle.gradient(j, point, steps[-1].gradient, -alpha)
                processes.add([loss])
                first = meta_losses is None
                if meta_losses is None:
                    meta_losses, values = problem.table(loss), problem.table(loss)
                meta_losses[i, j] = loss
                if weights is not None:
                    torch._foreach_mul_(gradient, weights[i, j])
                else:
                    assert values is not None
                    x = values[i, j] = std_loss.observe((i, j), loss)
                vector = add_(vector, gradient)
                del gradient
            assert vector is not None
            processes.add_gradients(vector)
            while steps:
                torch._foreach_add_(vector, steps.pop().hessian_times(vector), alpha=-alpha)
            if weights is None and std_loss.weight != 0 and not first:  # The first x_ij of all is 0.
                weighted = add_(weighted, vector, x)
            plain = add_(plain, vector)
            del vector, point
        assert plain is not None
        assert meta_losses is not None
        if weights is None:
            assert values is not None
            a, b = std_loss.mix(problem.sum_weight)
            torch._foreach_mul_(plain, a)
            if weighted is not None:
                plain = add_(plain, weighted, b)
            weights = problem.weights_from(values)
        return Found(plain, risks, meta_losses, weights)

    def _adapt(self, problem: Problem[OracleT], i: Environment) -> tuple[list[Linearization], Vector]:
        """R_i's derivatives at θ⁰ … θᵀ⁻¹, and θᵀ⁻¹ itself; θ'_i is one step along the last gradient from there."""
        point = problem.oracle.theta
        steps: list[Linearization] = []
        for step in range(problem.inner_steps):
            if step > 0:
                gradient = steps[-1].gradient
                point = [torch.add(p.detach(), g, alpha=-problem.inner_learning_rate) for p, g in zip(point, gradient)]
            steps.append(self.linearize(problem.oracle, i, point))
        return steps, point

    def _survey(self, problem: Problem[OracleT]) -> PairTable:
        """w_ij of every pair, from a first pass that leaves no trace."""

        def adapt(i: Environment) -> tuple[Vector, Vector]:
            steps, point = self._adapt(problem, i)
            return point, steps[-1].gradient

        oracle = problem.oracle
        with Randomness(oracle.parameters[0].device).replayed(), buffers_kept(oracle.processes.module):
            return problem.survey(adapt)


@KINDS.register("first_order")
class FirstOrder(Unrolled[Oracle]):
    """The Hessian taken for zero: what is left of the objective's gradient is first-order meta-learning."""

    def linearize(self, oracle: Oracle, environment: Environment, point: Vector) -> Linearization:
        """The gradient alone."""
        risk, gradient = oracle.joint_gradient(environment, point)
        return Linearization(risk, gradient, lambda vector: [torch.zeros_like(v) for v in vector])
