"""The gradient of an objective of environment risks, over any number of processes and parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .parameters import trainable_parameters
from .processes import Processes
from .replay import Randomness, buffers_kept
from .risks import Parts


Statistic = Callable[[nn.Module, Any], Tensor]


@dataclass
class RiskObjectiveGradient:
    """
    What one call of [`gradient_of_objective`] found.

    Args:
        gradients (list of `Tensor` or `None`): ∇J, one for each trainable parameter; `None` for one that J does not
            depend on.
        objective (`Tensor`): J, a scalar.
        statistics (`Tensor`): the joint statistics, shape (E, k), in the order of the batches.
    """

    gradients: list[Tensor | None]
    objective: Tensor
    statistics: Tensor


def gradient_of_objective(
    model: nn.Module,
    statistic: Statistic,
    objective: Callable[[Tensor], Tensor],
    batches: Parts,
    loss_scale: float = 1.0,
) -> RiskObjectiveGradient:
    """
    ∇J(s_1, …, s_E), where s_e is a statistic of environment e (its risk, say) that is a mean over rows, and J any
    function of them.

    s_e is a mean over all parts and processes, while each process and part differentiates only its own rows. With s̄
    the joint value, each of them contributes Σ_e ∂J/∂s_e(s̄) · weight · ∇s_e of its own rows, and the sum of those is
    the gradient for the joint batch. The parameters' `.grad` is empty afterwards.

    Args:
        model (`nn.Module`): as it is trained, in its DDP wrapper where it has one.
        statistic (`Callable`): of a model and a part's inputs; a tensor of shape (k,), the same k for all.
        objective (`Callable`): of the joint statistics, a tensor of shape (E, k); a scalar. Called once, with the same
            values on every process.
        batches (`Mapping`): the parts of each environment, equally many for each.
        loss_scale (`float`, *optional*, defaults to 1.0): what J is multiplied by for the backward pass; the result
            does not depend on it.
    """
    processes = Processes(model)
    parameters = trainable_parameters(processes.module)
    count = len(next(iter(batches.values())))

    def statistics(number: int) -> Tensor:
        """Of the environments' parts with this number, each times its weight: shape (E, k)."""
        parts = [pieces[number] for pieces in batches.values()]
        return torch.stack([statistic(processes.module, part.inputs) * part.weight for part in parts])

    for parameter in parameters:
        parameter.grad = None
    if count == 1:
        own = statistics(0)
        joint = own.detach().clone()
    else:
        # The joint value of all parts must be known before any of them is differentiated, so each is evaluated twice,
        # with the same dropout masks.
        randomness = Randomness(parameters[0].device)
        with torch.no_grad(), buffers_kept(processes.module):
            joint = torch.stack([statistics(number) for number in range(count)]).sum(0)
        randomness.restore()
    processes.add([joint])
    value = objective(joint.requires_grad_())
    (weights,) = torch.autograd.grad(value, joint)
    for number in range(count):
        if count > 1:
            own = statistics(number)
        ((weights * own).sum() * (loss_scale * processes.backward_scale)).backward()
    gradients = _collected(parameters, processes, loss_scale)
    return RiskObjectiveGradient(gradients, value.detach(), joint.detach())


def _collected(parameters: list[nn.Parameter], processes: Processes, loss_scale: float) -> list[Tensor | None]:
    """The parameters' gradients, joint over the processes, taken out of `.grad`."""
    used = processes.any([p.grad is not None for p in parameters])
    gradients: list[Tensor | None] = []
    for parameter, needed in zip(parameters, used):
        gradient = torch.zeros_like(parameter) if needed and parameter.grad is None else parameter.grad
        if gradient is not None and gradient.layout != torch.strided:
            gradient = gradient.to_dense()  # Sparse ones have no all-reduce and no norm.
        gradients.append(gradient)
        parameter.grad = None
    present = [g for g in gradients if g is not None]
    processes.add_gradients(present)
    if loss_scale != 1.0:
        torch._foreach_div_(present, loss_scale)
    return gradients
