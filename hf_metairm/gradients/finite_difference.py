"""The Hessian-vector product as a difference of ordinary gradients."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from .exact import Exact
from .kinds import KINDS, Kind
from .oracles import Oracle
from .parameters import Vector, norm, trainable_parameters
from .replay import Randomness, buffers_kept
from .risks import Environment
from .unrolled import Linearization, Unrolled


SCHEMES = ("forward", "central")


@KINDS.register("finite_difference")
class FiniteDifference(Unrolled[Oracle]):
    """
    Differences of ordinary gradients along u = v/‖v‖: forward, (∇R(θ + εu) − ∇R(θ)) ‖v‖/ε, which costs one gradient
    more, or central, (∇R(θ + εu) − ∇R(θ − εu)) ‖v‖/2ε, which costs two. Every one of them draws the same dropout masks
    and leaves batch-norm statistics as it found them.
    """

    def check(self, model: nn.Module) -> None:
        """A known scheme, and parameters that are fine enough."""
        if self.scheme not in SCHEMES:
            raise ValueError(f"Unknown finite-difference scheme {self.scheme!r}: use one of {', '.join(SCHEMES)}.")
        refuse_half_precision(model)

    def references(self, model: nn.Module) -> list[Kind[Any]]:
        """For the forward difference: double backward where the model is small and has it, else the central one."""
        return [] if self.scheme == "central" else references_for(model, self.compute_dtype)

    def linearize(self, oracle: Oracle, environment: Environment, point: Vector) -> Linearization:
        """The gradient, and one or two more of them once v is known."""
        randomness = Randomness(point[0].device)
        risk, gradient = oracle.joint_gradient(environment, point)

        def gradient_again(vector: Vector, scale: float) -> Vector:
            with randomness.replayed(), buffers_kept(oracle.processes.module):
                return oracle.joint_gradient(environment, point, vector, scale)[1]

        def product(vector: Vector) -> Vector:
            length = norm(vector)
            if not length > 0:
                return [torch.zeros_like(v) for v in vector]
            step = step_size(self.compute_dtype or point[0].dtype, self.scheme)
            ahead = gradient_again(vector, step / length)
            if self.scheme == "forward":
                torch._foreach_sub_(ahead, gradient)
                torch._foreach_mul_(ahead, length / step)
                return ahead
            torch._foreach_sub_(ahead, gradient_again(vector, -step / length))
            torch._foreach_mul_(ahead, length / (2 * step))
            return ahead

        return Linearization(risk, gradient, product)


def references_for(model: nn.Module, compute_dtype: torch.dtype | None) -> list[Kind[Any]]:
    """What differences of gradients are measured against: see [`Kind.references`]."""
    exact: list[Kind[Any]] = [Exact()] if Exact.fits(model) else []
    return [*exact, FiniteDifference("central", compute_dtype)]


def refuse_half_precision(model: nn.Module) -> None:
    """Raise `ValueError` for parameters between which a difference of gradients is mostly rounding."""
    if any(torch.finfo(p.dtype).bits < 32 for p in trainable_parameters(model)):
        raise ValueError(
            "Parameters in half precision are too coarse for finite differences: keep them in float32 and use "
            "bf16 or fp16 autocast, or choose meta_gradient='exact'."
        )


def step_size(dtype: torch.dtype, scheme: str) -> float:
    """
    ε, the length of the step along the unit vector u.

    In float32 and float64 the usual balance of rounding against truncation: √eps for the forward difference and ∛eps
    for the central one (Nocedal & Wright, Numerical Optimization, section 8.1), eps being the machine precision. u has
    length 1 over all parameters together, so ε needs no scaling by their number; `docs/support.md` has what error this
    leaves from 5,000 to 22 million parameters. Under half-precision autocast the balance is another,
    since matrix products alone are rounded coarsely; its steps are measured ones.

    Args:
        dtype (`torch.dtype`): in which the model computes: the parameters' own, or that of autocast.
        scheme (`str`): `"forward"` or `"central"`.
    """
    if dtype in (torch.bfloat16, torch.float16):
        return 0.03 if scheme == "forward" else 0.06
    eps = torch.finfo(dtype).eps
    return math.sqrt(eps) if scheme == "forward" else eps ** (1 / 3)
