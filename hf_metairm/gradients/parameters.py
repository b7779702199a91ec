"""θ and θ': the trainable parameters of a model, and others in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from .processes import reshard


Vector = list[Tensor]

# Models that hold other parameters than θ at the moment.
_ELSEWHERE: WeakSet[nn.Module] = WeakSet()


def is_elsewhere(model: nn.Module) -> bool:
    """
    Whether a risk is being evaluated at other parameters than θ, such as θ'. What a loss function notes of the model
    on the side, its accuracy say, is then not the model's.
    """
    return model in _ELSEWHERE


def note_elsewhere(model: nn.Module, elsewhere: bool) -> None:
    """Say whether `model` holds other parameters than θ from now on."""
    if elsewhere:
        _ELSEWHERE.add(model)
    else:
        _ELSEWHERE.discard(model)


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """θ: the parameters of `model` that require a gradient, each once even where it is tied; with FSDP2 its shards."""
    reshard(model)
    return [p for p in model.parameters() if p.requires_grad]


class Places:
    """
    Where a model keeps its trainable parameters, so that others can take their places for a while.

    While they do, everything that runs the model sees them: a forward pass, and also what computes part of it once
    more during a backward pass (`torch.utils.checkpoint`). The parameters themselves are not written to, so a graph
    through them stays valid.

    Args:
        module (`nn.Module`): the model.
        parameters (list of `nn.Parameter`): those to replace; a tied one is replaced in all its places.
    """

    def __init__(self, module: nn.Module, parameters: Sequence[nn.Parameter]):
        number = {id(p): k for k, p in enumerate(parameters)}
        self.module = module
        self.parameters = parameters
        self._places: list[tuple[dict[str, Any], str, int]] = [
            (part._parameters, name, number[id(p)])
            for part in module.modules()
            for name, p in part._parameters.items()
            if id(p) in number
        ]

    @contextmanager
    def taken_by(self, values: Sequence[Tensor]) -> Iterator[None]:
        """Let `values`, shaped like the parameters, stand in their places."""
        if all(value is parameter for value, parameter in zip(values, self.parameters)):
            yield
            return
        note_elsewhere(self.module, True)
        try:
            for parameters, name, k in self._places:
                parameters[name] = values[k]
            yield
        finally:
            note_elsewhere(self.module, False)
            for parameters, name, k in self._places:
                parameters[name] = self.parameters[k]


def differentiate(value: Tensor, point: Vector, used: list[bool], **options: Any) -> Vector:
    """
    `torch.autograd.grad`, dense, with zeros for what `value` does not depend on; `used` is set where it does.
    """
    gradient = list(torch.autograd.grad(value, point, allow_unused=True, **options))
    return dense(gradient, point, used)


def dense(gradient: Sequence[Tensor | None], point: Sequence[Tensor], used: list[bool]) -> Vector:
    """Gradients as ordinary tensors: zeros for `None`, and none of them sparse."""
    found = []
    for k, (g, p) in enumerate(zip(gradient, point)):
        used[k] = used[k] or g is not None
        found.append(torch.zeros_like(p) if g is None else g.to_dense() if g.layout != torch.strided else g)
    return found


def add_(total: Vector | None, part: Vector, scale: Tensor | float | None = None) -> Vector:
    """total + scale · part, written into `total`; `part` itself where there is no total and no scale yet."""
    factor = 1.0 if scale is None else float(scale)
    if total is None:
        return part if scale is None else list(torch._foreach_mul(part, factor))
    torch._foreach_add_(total, part, alpha=factor)
    return total


def shards(vector: Sequence[Tensor]) -> Vector:
    """This process's own part of each tensor: with FSDP2 its shard, else the tensor itself."""
    return [t.to_local() if hasattr(t, "to_local") else t for t in vector]


def norm(vector: Vector) -> float:
    """‖v‖ over all parameters together."""
    total = torch.nn.utils.get_total_norm(vector)
    return float(total.full_tensor() if hasattr(total, "full_tensor") else total)


def relative_distance(found: Vector, reference: Vector) -> Tensor:
    """‖found − reference‖ / ‖reference‖, a scalar; `reference` is overwritten."""
    length = norm(reference)
    torch._foreach_sub_(reference, found)
    return torch.tensor(norm(reference) / length if length != 0 else 0.0, device=found[0].device)


def divide_(vector: Vector, divisor: float) -> Vector:
    """vector / divisor, in place."""
    if divisor != 1.0:
        torch._foreach_div_(vector, divisor)
    return vector
