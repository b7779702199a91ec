"""
The meta-IRM step as a user of each peer would write it: for every environment one differentiable SGD step, the losses
of all the others, their sum plus λσ, and one backward pass through everything.

σ couples all the losses, so every graph is alive until that one backward pass. The fused attention kernels have no
second derivative; each inner step therefore runs on the plain one, and the losses after it, which are differentiated
once, on the default. That is the best these libraries can be made to do, and better than the usual
`attn_implementation="eager"` throughout.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import torch
from meta_step_settings import Batches, Step
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def _objective(losses: list[Tensor], std_loss_weight: float) -> Tensor:
    stacked = torch.stack(losses)
    return stacked.sum() + std_loss_weight * stacked.std(correction=0)


def _gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _forget(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None


def higher_step(model: nn.Module, batches: Batches, risk, inner_learning_rate: float, std_loss_weight: float) -> Step:
    """`higher`: a functional copy of the model for each environment."""
    import higher

    parameters = _trained(model)
    optimizer = torch.optim.SGD(parameters, lr=inner_learning_rate)

    def step() -> list[Tensor]:
        _forget(parameters)
        losses = []
        with ExitStack() as stack:
            for i in batches:
                copy, inner = stack.enter_context(higher.innerloop_ctx(model, optimizer, copy_initial_weights=False))
                with sdpa_kernel(SDPBackend.MATH):
                    inner_loss = risk(copy, batches[i])
                inner.step(inner_loss)
                losses += [risk(copy, batches[j]) for j in batches if j != i]
            _objective(losses, std_loss_weight).backward()
        return _gradients(parameters)

    return step


def torchopt_step(
    model: nn.Module, batches: Batches, risk, inner_learning_rate: float, std_loss_weight: float
) -> Step:
    """`torchopt`: `MetaSGD` steps the module itself, which is put back after each environment."""
    import torchopt

    parameters = _trained(model)
    optimizer = torchopt.MetaSGD(model, lr=inner_learning_rate)

    def step() -> list[Tensor]:
        _forget(parameters)
        model_state = torchopt.extract_state_dict(model, by="reference", detach_buffers=True)
        optimizer_state = torchopt.extract_state_dict(optimizer, by="reference")
        losses = []
        for i in batches:
            with sdpa_kernel(SDPBackend.MATH):
                inner_loss = risk(model, batches[i])
            optimizer.step(inner_loss)
            losses += [risk(model, batches[j]) for j in batches if j != i]
            torchopt.recover_state_dict(model, model_state)
            torchopt.recover_state_dict(optimizer, optimizer_state)
        _objective(losses, std_loss_weight).backward()
        return _gradients(parameters)

    return step


def learn2learn_step(
    model: nn.Module, batches: Batches, risk, inner_learning_rate: float, std_loss_weight: float
) -> Step:
    """`learn2learn`: a clone of the `MAML` wrapper for each environment."""
    parameters = _trained(model)
    wrapper = _learn2learn_maml()(model, lr=inner_learning_rate, first_order=False, allow_unused=True)

    def step() -> list[Tensor]:
        _forget(parameters)
        losses = []
        for i in batches:
            learner = wrapper.clone()
            with sdpa_kernel(SDPBackend.MATH):
                inner_loss = risk(learner, batches[i])
            learner.adapt(inner_loss)
            losses += [risk(learner, batches[j]) for j in batches if j != i]
        _objective(losses, std_loss_weight).backward()
        return _gradients(parameters)

    return step


def all_graphs_step(
    model: nn.Module, batches: Batches, risk, inner_learning_rate: float, std_loss_weight: float
) -> Step:
    """No library: `torch.func.functional_call` at θ' = θ − α ∇R_i(θ), in the graph."""
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    parameters = _trained(model)

    class Risk(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, batch: dict[str, Tensor]) -> Tensor:
            return risk(self.model, batch)

    wrapped = Risk()

    def step() -> list[Tensor]:
        _forget(parameters)
        losses = []
        for i in batches:
            with sdpa_kernel(SDPBackend.MATH):
                gradients = torch.autograd.grad(wrapped(batches[i]), parameters, create_graph=True, allow_unused=True)
            adapted = {
                f"model.{name}": p if g is None else p - inner_learning_rate * g
                for name, p, g in zip(names, parameters, gradients)
            }
            losses += [torch.func.functional_call(wrapped, adapted, (batches[j],)) for j in batches if j != i]
        _objective(losses, std_loss_weight).backward()
        return _gradients(parameters)

    return step


def _learn2learn_maml() -> Any:
    """
    `learn2learn.algorithms.MAML`, its own unchanged code, without the rest of the package: that imports `gym`, which
    is no longer maintained, and `torchvision`, and a step touches neither.
    """
    spec = importlib.util.find_spec("learn2learn")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'learn2learn'")
    for name, folders in (
        ("learn2learn", list(spec.submodule_search_locations)),
        ("learn2learn.algorithms", [f"{folder}/algorithms" for folder in spec.submodule_search_locations]),
    ):
        package = ModuleType(name)
        package.__path__ = folders
        sys.modules[name] = package
    from learn2learn.algorithms.maml import MAML

    return MAML


STEPS = {
    "higher": higher_step,
    "torchopt": torchopt_step,
    "learn2learn": learn2learn_step,
    "all_graphs": all_graphs_step,
}
