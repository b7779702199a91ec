"""A risk's gradient together with the product of its Hessian and a vector, in three kinds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from .oracles import FunctionalOracle, InPlaceOracle, Vector, add_, differentiate
from .replay import Randomness, buffers_kept


SCHEMES = ("forward", "central")


@dataclass
class Linearization:
    """
    R_e(θ), ∇R_e(θ) and v ↦ H_e(θ) v, all averaged over the processes.

    Args:
        risk (`Tensor`): a scalar.
        gradient (list of `Tensor`): shaped like the parameters.
        hessian_times (`Callable`): maps v to H v; to be called once.
    """

    risk: Tensor
    gradient: Vector
    hessian_times: Callable[[Vector], Vector]


def first_order(oracle: InPlaceOracle, environment: int, point: Vector) -> Linearization:
    """The Hessian taken for zero: what is left of the objective's gradient is first-order meta-learning."""
    risk, gradient = _averaged_gradient(oracle, environment, point)
    return Linearization(risk, gradient, lambda vector: [torch.zeros_like(v) for v in vector])


def finite_difference(
    oracle: InPlaceOracle,
    environment: int,
    point: Vector,
    scheme: str = "forward",
    compute_dtype: torch.dtype | None = None,
) -> Linearization:
    """
    Differences of ordinary gradients along u = v/‖v‖: forward, (∇R(θ + εu) − ∇R(θ)) ‖v‖/ε, which costs one gradient
    more, or central, (∇R(θ + εu) − ∇R(θ − εu)) ‖v‖/2ε, which costs two. Every one of them draws the same dropout masks
    and leaves batch-norm statistics as it found them.
    """
    randomness = Randomness(point[0].device)
    risk, gradient = _averaged_gradient(oracle, environment, point)

    def product(vector: Vector) -> Vector:
        norm = _norm(vector)
        if not norm > 0:
            return [torch.zeros_like(v) for v in vector]
        step = step_size(compute_dtype or point[0].dtype, scheme)
        with randomness.replayed(), buffers_kept(oracle.processes.module):
            ahead = _averaged_gradient(oracle, environment, point, vector, step / norm)[1]
        if scheme == "forward":
            torch._foreach_sub_(ahead, gradient)
            torch._foreach_mul_(ahead, norm / step)
            return ahead
        with randomness.replayed(), buffers_kept(oracle.processes.module):
            behind = _averaged_gradient(oracle, environment, point, vector, -step / norm)[1]
        torch._foreach_sub_(ahead, behind)
        torch._foreach_mul_(ahead, norm / (2 * step))
        return ahead

    return Linearization(risk, gradient, product)


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


def exact(oracle: FunctionalOracle, environment: int, point: Vector) -> Linearization:
    """
    Double backward. With one micro-batch the graph of the gradient is kept until the product is taken; with several
    it is built anew for each of them, dropout masks included, so that only one micro-batch's graph is ever alive.
    """
    micro_batches = oracle.batches[environment]
    leaves = [p if p.requires_grad else p.detach().requires_grad_() for p in point]
    randomness = Randomness(leaves[0].device)
    graph: tuple[Tensor, Vector] | None = None
    if len(micro_batches) == 1:
        graph = _gradient_with_graph(oracle, micro_batches[0], leaves)
        risk, gradient = graph[0].detach(), [g.detach() for g in graph[1]]
        if oracle.loss_scale != 1.0 or oracle.processes.count > 1:
            # What follows writes into the gradient, and double backward still needs the one in the graph.
            gradient = [g / oracle.loss_scale for g in gradient]
    else:
        risk, gradient = oracle.gradient(environment, leaves)
    oracle.processes.average([risk])
    oracle.processes.average_gradients(gradient)

    def local_product(vector: Vector) -> Vector:
        nonlocal graph
        if graph is not None:
            kept, graph = graph[1], None
            return _double_backward(kept, leaves, vector)
        total: Vector | None = None
        with randomness.replayed(), buffers_kept(oracle.processes.module):
            for batch in micro_batches:
                again = _gradient_with_graph(oracle, batch, leaves)[1]
                total = add_(total, _double_backward(again, leaves, vector))
        assert total is not None
        torch._foreach_div_(total, len(micro_batches))
        return total

    def product(vector: Vector) -> Vector:
        result = local_product(vector)
        if oracle.loss_scale != 1.0:
            torch._foreach_div_(result, oracle.loss_scale)
        oracle.processes.average_gradients(result)
        return result

    return Linearization(risk, gradient, product)


def _averaged_gradient(
    oracle: InPlaceOracle, environment: int, base: Vector, direction: Vector | None = None, scale: float = 0.0
) -> tuple[Tensor, Vector]:
    risk, gradient = oracle.gradient(environment, base, direction, scale)
    oracle.processes.average([risk])
    oracle.processes.average_gradients(gradient)
    return risk, gradient


def _gradient_with_graph(oracle: FunctionalOracle, batch: object, leaves: Vector) -> tuple[Tensor, Vector]:
    # The fused attention kernels have no second derivative, on the CPU either; the plain one has, and is wanted here
    # alone: every first-order pass keeps the fast kernel.
    with sdpa_kernel(SDPBackend.MATH):
        risk = oracle.value(batch, leaves)
        return risk, differentiate(risk * oracle.loss_scale, leaves, create_graph=True)


def _double_backward(gradient: Vector, leaves: Vector, vector: Vector) -> Vector:
    """H v from the gradient's graph."""
    with_graph = [k for k, g in enumerate(gradient) if g.requires_grad]
    if not with_graph:
        return [torch.zeros_like(leaf) for leaf in leaves]
    product = torch.autograd.grad(
        [gradient[k] for k in with_graph],
        leaves,
        grad_outputs=[vector[k] for k in with_graph],
        allow_unused=True,
    )
    return [torch.zeros_like(leaf) if p is None else p for p, leaf in zip(product, leaves)]


def _norm(vector: Vector) -> float:
    norm = torch.nn.utils.get_total_norm(vector)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
