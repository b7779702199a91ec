"""What the gradients of the environments' risks have in common: their variance, and the mean along a path of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .parameters import Vector, add_, divide_, norm, trainable_parameters
from .processes import Processes
from .risks import Risk, as_parts
from .unrolled import FirstOrder, Linearization, Unrolled


@dataclass
class GradientVariance:
    """
    What one call of [`gradient_variance`] found.

    Args:
        mean (list of `Tensor`): ḡ, the mean of the environments' gradients, one tensor for each trainable parameter.
        gradients (list of `Tensor`): ∇V, shaped alike.
        used (`list[bool]`): for each parameter whether any risk depends on it.
        variance (`Tensor`): V, a scalar.
        risks (`dict[Any, Tensor]`): R_e of each environment.
    """

    mean: Vector
    gradients: Vector
    used: list[bool]
    variance: Tensor
    risks: dict[Any, Tensor]


def gradient_variance(
    model: nn.Module, risk: Risk, batches: Mapping[Any, Any], *, kind: Unrolled[Any], loss_scale: float = 1.0
) -> GradientVariance:
    r"""
    V(θ) = (1/E) Σ_e ‖g_e − ḡ‖² with g_e = ∇R_e(θ), and its gradient

        ∇V = (2/E) Σ_e H_e (g_e − ḡ),

    H_e the Hessian of R_e: the derivative of ḡ drops out, since Σ_e (g_e − ḡ) = 0. Under DDP or FSDP2 every process
    calls this with its own rows, and gets the gradient of the joint batch.

    Args:
        model (`nn.Module`): as it is trained, in its DDP wrapper where it has one.
        risk (`Callable[[nn.Module, Any], Tensor]`): the mean loss of a model over a batch, a scalar.
        batches (`Mapping`): for each environment its rows, as [`meta_gradient`] takes them.
        kind ([`Unrolled`]): how the Hessian-vector product is computed.
        loss_scale (`float`, *optional*, defaults to 1.0): see [`Oracle`]; the result does not depend on it.

    Raises:
        ValueError: a model that this kind of Hessian-vector product cannot be right for.
    """
    processes = Processes(model)
    parameters = trainable_parameters(processes.module)
    oracle = kind.oracle(processes, parameters, risk, as_parts(batches, processes.count), loss_scale)
    found: dict[Any, Linearization] = {}
    total: Vector | None = None
    variance = torch.zeros((), device=parameters[0].device, dtype=parameters[0].dtype)
    try:
        for e in sorted(batches):
            found[e] = kind.linearize(oracle, e, oracle.theta)
        mean = divide_([torch.stack(parts).sum(0) for parts in zip(*(f.gradient for f in found.values()))], len(found))
        for one in found.values():
            away = [g - m for g, m in zip(one.gradient, mean)]
            variance += norm(away) ** 2 / len(found)
            total = add_(total, one.hessian_times(away))
    finally:
        oracle.close()
    assert total is not None
    torch._foreach_mul_(total, 2 / len(found))
    return GradientVariance(mean, total, processes.any(oracle.used), variance, {e: f.risk for e, f in found.items()})


@dataclass
class PathGradient:
    """
    What one call of [`gradient_along_path`] found.

    Args:
        gradients (list of `Tensor`): the mean of the gradients, one tensor for each trainable parameter.
        used (`list[bool]`): for each of them whether any risk depends on it.
        risks (`dict[Any, Tensor]`): of each environment the risk where its gradient was taken.
    """

    gradients: Vector
    used: list[bool]
    risks: dict[Any, Tensor]


def gradient_along_path(
    model: nn.Module,
    risk: Risk,
    batches: Mapping[Any, Any],
    order: Sequence[Any],
    step_size: float,
    *,
    loss_scale: float = 1.0,
) -> PathGradient:
    r"""
    (1/E) Σ_k ∇R_{e_k}(θ_{k−1}) on the way θ_k = θ_{k−1} − α ∇R_{e_k}(θ_{k−1}) through the environments in `order`,
    which is (θ − θ_E)/(αE). The model's parameters are left as they were.

    Args:
        model (`nn.Module`): as it is trained, in its DDP wrapper where it has one.
        risk (`Callable[[nn.Module, Any], Tensor]`): the mean loss of a model over a batch, a scalar.
        batches (`Mapping`): for each environment its rows, as [`meta_gradient`] takes them.
        order (`Sequence`): the environments, the same on every process.
        step_size (`float`): α.
        loss_scale (`float`, *optional*, defaults to 1.0): see [`Oracle`]; the result does not depend on it.
    """
    processes = Processes(model)
    parameters = trainable_parameters(processes.module)
    oracle = FirstOrder.oracle(processes, parameters, risk, as_parts(batches, processes.count), loss_scale)
    risks: dict[Any, Tensor] = {}
    total: Vector | None = None
    try:
        point = oracle.theta
        for e in order:
            risks[e], gradient = oracle.joint_gradient(e, point)
            point = [torch.add(p, g, alpha=-step_size) for p, g in zip(point, gradient)]
            total = add_(total, gradient)
    finally:
        oracle.close()
    assert total is not None
    return PathGradient(divide_(total, len(order)), processes.any(oracle.used), risks)
