"""The gradient of an objective of environment risks, over any number of processes and micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..gradients.processes import Processes
from ..gradients.replay import Randomness, buffers_kept


Statistic = Callable[[nn.Module, Any], Tensor]


def backward_through_risks(
    model: nn.Module,
    statistic: Statistic,
    objective: Callable[[Tensor], Tensor],
    batches: Mapping[int, Sequence[Any]],
    loss_scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """
    Leave ∇J(s_1, …, s_E) in the parameters' `.grad`, where s_e is a statistic of environment e (its risk, say) that is
    a mean over rows, and J any function of them.

    s_e is a mean over processes and micro-batches too, while each process and micro-batch differentiates only its
    own rows. With s̄ the joint value, each of them contributes Σ_e ∂J/∂s_e(s̄) · ∇s_e of its own rows, and the mean of
    those is the gradient for the joint batch.

    Args:
        model (`nn.Module`): as it is trained, in its DDP wrapper where it has one.
        statistic (`Callable`): of a model and a batch; a tensor of shape (k,), the same k for all.
        objective (`Callable`): of the joint statistics, a tensor of shape (E, k) with environments in ascending order;
            a scalar. Called once, with the same values on every process.
        batches (`Mapping[int, Sequence]`): micro-batches of equal size, by environment.
        loss_scale (`float`, *optional*, defaults to 1.0): what J is multiplied by for the backward pass.

    Returns:
        `tuple[Tensor, Tensor]`: J and the joint statistics (E, k), both detached.
    """
    processes = Processes(model)
    environments = sorted(batches)
    count = len(batches[environments[0]])

    def statistics(number: int) -> Tensor:
        return torch.stack([statistic(processes.module, batches[e][number]) for e in environments])

    if count == 1:
        own = statistics(0)
        joint = own.detach().clone()
    else:
        # The joint value of all micro-batches must be known before any of them is differentiated, so each is
        # evaluated twice, with the same dropout masks.
        randomness = Randomness(next(processes.module.parameters()).device)
        with torch.no_grad(), buffers_kept(processes.module):
            joint = torch.stack([statistics(number) for number in range(count)]).mean(0)
        randomness.restore()
    processes.average([joint])
    value = objective(joint.requires_grad_())
    (weights,) = torch.autograd.grad(value, joint)
    for number in range(count):
        if count > 1:
            own = statistics(number)
        ((weights * own).sum() * (loss_scale / count)).backward()
    processes.average_gradients([p.grad for p in processes.module.parameters() if p.grad is not None])
    return value.detach(), joint.detach()
