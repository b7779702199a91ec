"""Two ways to evaluate an environment's risk, and its gradient, away from the model's own parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .processes import Processes


Risk = Callable[[nn.Module, Any], Tensor]
Vector = list[Tensor]


class InPlaceOracle:
    """
    Writes the wanted parameters into the model and runs an ordinary forward and backward pass there.

    Whatever ordinary training runs with, this runs with: any attention kernel, gradient checkpointing,
    `torch.compile`, FSDP2. [`close`] puts the parameters back bit for bit.

    Args:
        processes ([`Processes`]): the model and the processes that share its batch.
        parameters (list of `nn.Parameter`): the trainable parameters θ.
        risk (`Callable`): `risk(model, batch)`, the mean loss over the batch as a scalar.
        batches (`Mapping[int, Sequence]`): for each environment its part of the batch, as one or more micro-batches of
            equal size.
        loss_scale (`float`): what the loss is multiplied by before each backward pass and the gradient divided by
            after it, so that float16 gradients do not underflow.
    """

    def __init__(
        self,
        processes: Processes,
        parameters: list[nn.Parameter],
        risk: Risk,
        batches: Mapping[int, Sequence[Any]],
        loss_scale: float = 1.0,
    ):
        self.processes = processes
        self.parameters = parameters
        self.risk = risk
        self.batches = batches
        self.loss_scale = loss_scale
        self.theta: Vector = [p.detach().clone() for p in parameters]
        self._kept_gradients = [p.grad for p in parameters]

    @torch.no_grad()
    def move(self, base: Vector, direction: Vector | None = None, scale: float = 0.0) -> None:
        """Let the model's parameters be base + scale · direction."""
        # One tensor at a time: no second vector of the model's size is ever alive.
        for k, parameter in enumerate(self.parameters):
            if direction is None:
                parameter.copy_(base[k])
            else:
                torch.add(base[k], direction[k], alpha=scale, out=parameter.detach())

    def gradient(
        self, environment: int, base: Vector, direction: Vector | None = None, scale: float = 0.0
    ) -> tuple[Tensor, Vector]:
        """R_e and ∇R_e at base + scale · direction, over this process's rows."""
        self.move(base, direction, scale)
        for parameter in self.parameters:
            parameter.grad = None
        micro_batches = self.batches[environment]
        risk = torch.zeros((), device=self.parameters[0].device)
        for batch in micro_batches:
            loss = self.risk(self.processes.module, batch) / len(micro_batches)
            (loss * self.loss_scale).backward()
            risk = risk + loss.detach()
        gradient = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        for parameter in self.parameters:
            parameter.grad = None
        return risk, _unscale(gradient, self.loss_scale)

    @torch.no_grad()
    def loss(self, environment: int, base: Vector, direction: Vector | None = None, scale: float = 0.0) -> Tensor:
        """R_e at base + scale · direction, over this process's rows."""
        self.move(base, direction, scale)
        losses = [self.risk(self.processes.module, batch) for batch in self.batches[environment]]
        self.processes.reshard()
        return torch.stack(losses).mean()

    def close(self) -> None:
        """Put the parameters and whatever gradients they carried back."""
        self.move(self.theta)
        for parameter, gradient in zip(self.parameters, self._kept_gradients):
            parameter.grad = gradient


class FunctionalOracle:
    """
    Leaves the model's parameters alone and calls the model with others, by `torch.func.functional_call`, so that a
    graph through θ stays valid while θ' is evaluated. Takes what [`InPlaceOracle`] takes.
    """

    def __init__(
        self,
        processes: Processes,
        parameters: list[nn.Parameter],
        risk: Risk,
        batches: Mapping[int, Sequence[Any]],
        loss_scale: float = 1.0,
    ):
        self.processes = processes
        self.batches = batches
        self.loss_scale = loss_scale
        self.theta: Vector = list(parameters)
        self._risk = _RiskOfModel(processes.module, risk)
        name_of = {id(p): name for name, p in self._risk.named_parameters()}
        self._names = [name_of[id(p)] for p in parameters]

    def value(self, batch: Any, point: Vector) -> Tensor:
        """The risk of one micro-batch at `point`, with its graph."""
        return functional_call(self._risk, dict(zip(self._names, point)), (batch,), tie_weights=True)

    def gradient(
        self, environment: int, base: Vector, direction: Vector | None = None, scale: float = 0.0
    ) -> tuple[Tensor, Vector]:
        """R_e and ∇R_e at base + scale · direction, over this process's rows."""
        point = self.point(base, direction, scale)
        micro_batches = self.batches[environment]
        risk = torch.zeros((), device=point[0].device)
        gradient: Vector | None = None
        for batch in micro_batches:
            loss = self.value(batch, point) / len(micro_batches)
            part = differentiate(loss * self.loss_scale, point)
            gradient = add_(gradient, part)
            risk = risk + loss.detach()
        assert gradient is not None
        return risk, _unscale(gradient, self.loss_scale)

    @torch.no_grad()
    def loss(self, environment: int, base: Vector, direction: Vector | None = None, scale: float = 0.0) -> Tensor:
        """R_e at base + scale · direction, over this process's rows."""
        point = self.point(base, direction, scale)
        return torch.stack([self.value(batch, point) for batch in self.batches[environment]]).mean()

    @staticmethod
    def point(base: Vector, direction: Vector | None = None, scale: float = 0.0) -> Vector:
        """base + scale · direction as new leaves of the graph."""
        if direction is None:
            return [b.detach().requires_grad_() for b in base]
        return [torch.add(b.detach(), d.detach(), alpha=scale).requires_grad_() for b, d in zip(base, direction)]

    def close(self) -> None:
        """Nothing to put back: the model was never touched."""


class _RiskOfModel(nn.Module):
    """`risk(model, batch)` as a module, so that `functional_call` reaches the model inside whatever `risk` does."""

    def __init__(self, model: nn.Module, risk: Risk):
        super().__init__()
        self.model = model
        self._risk = risk

    def forward(self, batch: Any) -> Tensor:
        return self._risk(self.model, batch)


def differentiate(value: Tensor, point: Vector, **options: Any) -> Vector:
    """`torch.autograd.grad` with zeros for whatever `value` does not depend on."""
    gradient = torch.autograd.grad(value, point, allow_unused=True, **options)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(gradient, point)]


def add_(total: Vector | None, part: Vector, scale: Tensor | None = None) -> Vector:
    """total + scale · part, written into `total`; `part` itself where there is no total and no scale yet."""
    if total is None:
        return part if scale is None else [p * scale for p in part]
    for t, p in zip(total, part):
        if scale is None:
            t.add_(p)
        else:
            t.addcmul_(p, scale)
    return total


def _unscale(gradient: Vector, scale: float) -> Vector:
    if scale != 1.0:
        torch._foreach_div_(gradient, scale)
    return gradient
