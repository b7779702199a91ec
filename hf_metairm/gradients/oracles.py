"""Two ways to evaluate an environment's risk, and its gradient, away from the model's own parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from .parameters import Places, Vector, add_, dense, differentiate, divide_, note_elsewhere, shards
from .processes import Processes, reshard
from .replay import Randomness, buffers_kept
from .risks import Environment, Parts, Risk


class Oracle(ABC):
    """
    R_e and ∇R_e at any parameters, over this process's rows.

    Args:
        processes ([`Processes`]): the model and the processes that share its batch.
        parameters (list of `nn.Parameter`): the trainable parameters θ.
        risk (`Callable`): `risk(model, inputs)`, the mean loss as a scalar.
        batches (`Mapping`): for each environment its parts, see [`~hf_metairm.gradients.risks.Part`].
        loss_scale (`float`): what the loss is multiplied by before each backward pass and the gradient divided by
            after it, so that float16 gradients do not underflow.
        masks (`dict`, *optional*): if given, every evaluation of an environment draws the same dropout masks; the
            state of the random generators is kept here.
    """

    def __init__(
        self,
        processes: Processes,
        parameters: list[nn.Parameter],
        risk: Risk,
        batches: Parts,
        loss_scale: float = 1.0,
        masks: dict[Environment, Randomness] | None = None,
    ):
        self.processes = processes
        self.parameters = parameters
        self.risk = risk
        self.batches = batches
        self.loss_scale = loss_scale
        self.masks = masks
        self.used = [False] * len(parameters)
        """For each parameter whether any risk depends on it."""

    @property
    @abstractmethod
    def theta(self) -> Vector:
        """θ, as the point to start from."""

    @abstractmethod
    def gradient(
        self, environment: Environment, base: Vector, direction: Vector | None = None, scale: float = 0.0
    ) -> tuple[Tensor, Vector]:
        """R_e and ∇R_e at base + scale · direction, over this process's rows."""

    @abstractmethod
    def loss(
        self, environment: Environment, base: Vector, direction: Vector | None = None, scale: float = 0.0
    ) -> Tensor:
        """R_e at base + scale · direction, over this process's rows."""

    @abstractmethod
    def close(self) -> None:
        """Leave the model as it was found."""

    def joint_gradient(
        self, environment: Environment, base: Vector, direction: Vector | None = None, scale: float = 0.0
    ) -> tuple[Tensor, Vector]:
        """[`gradient`] over the rows of all processes."""
        risk, gradient = self.gradient(environment, base, direction, scale)
        self.processes.add([risk])
        self.processes.add_gradients(gradient)
        return risk, gradient

    @contextmanager
    def drawing(self, environment: Environment) -> Iterator[None]:
        """Around an evaluation of an environment: draw the masks that it drew before, where it is to."""
        if self.masks is None:
            yield
        elif environment not in self.masks:
            self.masks[environment] = Randomness(self.parameters[0].device)
            yield
        else:
            with self.masks[environment].replayed():
                yield

    @torch.no_grad()
    def _loss_here(self, environment: Environment) -> Tensor:
        parts = self.batches[environment]
        with self.drawing(environment):
            return torch.stack([self.risk(self.processes.module, part.inputs) * part.weight for part in parts]).sum()


class InPlaceOracle(Oracle):
    """
    Writes the wanted parameters into the model and runs an ordinary forward and backward pass there.

    Whatever ordinary training runs with, this runs with: any attention kernel, gradient checkpointing,
    `torch.compile`, FSDP2. [`close`] puts the parameters back bit for bit.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._theta: Vector = [p.detach().clone() for p in self.parameters]
        self._kept_gradients = [p.grad for p in self.parameters]

    @property
    def theta(self) -> Vector:
        """A copy of θ."""
        return self._theta

    @contextmanager
    def drawing(self, environment: Environment) -> Iterator[None]:
        """With masks drawn again, batch-norm statistics are left alone: here no graph needs them as they are."""
        again = self.masks is not None and environment in self.masks
        with super().drawing(environment), buffers_kept(self.processes.module) if again else nullcontext():
            yield

    @torch.no_grad()
    def move(self, base: Vector, direction: Vector | None = None, scale: float = 0.0) -> None:
        """Let the model's parameters be base + scale · direction."""
        note_elsewhere(self.processes.module, direction is not None or base is not self._theta)
        # In place: no second vector of the model's size is ever alive.
        here = shards(self.parameters)
        torch._foreach_copy_(here, shards(base))
        if direction is not None:
            torch._foreach_add_(here, shards(direction), alpha=scale)

    def gradient(
        self,
        environment: Environment,
        base: Vector,
        direction: Vector | None = None,
        scale: float = 0.0,
        into: Vector | None = None,
        times: Tensor | float = 1.0,
    ) -> tuple[Tensor, Vector]:
        """
        R_e and `times` ∇R_e at base + scale · direction, over this process's rows; a vector `into` takes the latter
        in: their sum is what is returned, and no second vector is needed.
        """
        self.move(base, direction, scale)
        for k, parameter in enumerate(self.parameters):
            parameter.grad = None if into is None or not self.used[k] else into[k]
            if parameter.grad is not None and self.loss_scale != 1.0:
                parameter.grad.mul_(self.loss_scale)
        risk = torch.zeros((), device=self.parameters[0].device)
        with self.drawing(environment):
            for part in self.batches[environment]:
                loss = self.risk(self.processes.module, part.inputs) * part.weight
                (loss * (self.loss_scale * self.processes.backward_scale) * times).backward()
                risk = risk + loss.detach()
        gradient = dense([p.grad for p in self.parameters], self.parameters, self.used)
        for parameter in self.parameters:
            parameter.grad = None
        return risk, divide_(gradient, self.loss_scale)

    def loss(
        self, environment: Environment, base: Vector, direction: Vector | None = None, scale: float = 0.0
    ) -> Tensor:
        """R_e at base + scale · direction, over this process's rows."""
        self.move(base, direction, scale)
        loss = self._loss_here(environment)
        reshard(self.processes.module)
        return loss

    def close(self) -> None:
        """Put the parameters and whatever gradients they carried back."""
        self.move(self._theta)
        for parameter, gradient in zip(self.parameters, self._kept_gradients):
            parameter.grad = gradient


class SwappingOracle(Oracle):
    """
    Lets other tensors take the parameters' places in the model, for the whole of forward, backward and Hessian
    product, so that a graph through θ stays valid while θ' is evaluated. Takes what [`Oracle`] takes.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.places = Places(self.processes.module, self.parameters)

    @property
    def theta(self) -> Vector:
        """θ itself."""
        return list(self.parameters)

    def gradient(
        self, environment: Environment, base: Vector, direction: Vector | None = None, scale: float = 0.0
    ) -> tuple[Tensor, Vector]:
        """R_e and ∇R_e at base + scale · direction, over this process's rows."""
        point = self.point(base, direction, scale)
        risk = torch.zeros((), device=point[0].device)
        gradient: Vector | None = None
        with self.places.taken_by(point), self.drawing(environment):
            for part in self.batches[environment]:
                loss = self.risk(self.processes.module, part.inputs) * part.weight
                gradient = add_(gradient, differentiate(loss * self.loss_scale, point, self.used))
                risk = risk + loss.detach()
        assert gradient is not None
        return risk, divide_(gradient, self.loss_scale)

    def loss(
        self, environment: Environment, base: Vector, direction: Vector | None = None, scale: float = 0.0
    ) -> Tensor:
        """R_e at base + scale · direction, over this process's rows."""
        with self.places.taken_by(self.point(base, direction, scale)):
            return self._loss_here(environment)

    @staticmethod
    def point(base: Vector, direction: Vector | None = None, scale: float = 0.0) -> Vector:
        """base + scale · direction as new leaves of the graph."""
        if direction is None:
            return [nn.Parameter(b.detach()) for b in base]
        return [nn.Parameter(torch.add(b.detach(), d.detach(), alpha=scale)) for b, d in zip(base, direction)]

    def close(self) -> None:
        """Nothing to put back: the parameters were never written to."""
