"""The Hessian-vector product by double backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .kinds import KINDS
from .oracles import SwappingOracle
from .parameters import Vector, add_, differentiate, divide_
from .replay import Randomness, buffers_kept
from .risks import Environment, Part
from .unrolled import Linearization, Unrolled


# Up to so many parameters, trained or not, a step is short and a graph small enough for double backward.
SMALL = 10_000_000
# Models whose graph was looked at, which is done once.
_LOOKED_AT: WeakSet[nn.Module] = WeakSet()
MEND = "Use meta_gradient='finite_difference', which needs only ordinary backward passes."


@KINDS.register("exact")
class Exact(Unrolled[SwappingOracle]):
    """
    Double backward. With one part the graph of the gradient is kept until the product is taken; with several it is
    built anew for each of them, dropout masks included, so that only one part's graph is ever alive.
    """

    oracle = SwappingOracle

    def check(self, model: nn.Module) -> None:
        """Nothing in the model that has no second derivative, as far as that can be seen."""
        if any(hasattr(module, "_orig_mod") for module in model.modules()):
            raise ValueError(f"torch.compile has no double backward, which meta_gradient='exact' takes. {MEND}")
        if any(hasattr(p, "to_local") for p in model.parameters()):
            raise ValueError(f"FSDP2's hooks do not reach the double backward of meta_gradient='exact'. {MEND}")
        for module in model.modules():
            attention = getattr(getattr(module, "config", None), "_attn_implementation", None) or ""
            if "flash" in attention or "flex" in attention:
                raise ValueError(f"{attention} has no second derivative, which meta_gradient='exact' takes. {MEND}")
            checkpoint = getattr(module, "_gradient_checkpointing_func", None)
            if getattr(module, "gradient_checkpointing", False) and _is_reentrant(checkpoint):
                raise ValueError(
                    "Reentrant gradient checkpointing has no double backward, which meta_gradient='exact' takes: turn "
                    "it on with the argument {\"use_reentrant\": False}, or use meta_gradient='finite_difference'."
                )

    @classmethod
    def fits(cls, model: nn.Module) -> bool:
        """Whether the model is small, and has a second derivative as far as that can be seen."""
        if sum(p.numel() for p in model.parameters()) > SMALL:
            return False
        try:
            cls().check(model)
        except ValueError:
            return False
        return True

    def linearize(self, oracle: SwappingOracle, environment: Environment, point: Vector) -> Linearization:
        """The gradient with its graph, or the means to build it once more."""
        parts = oracle.batches[environment]
        leaves: Vector = [p if isinstance(p, nn.Parameter) else nn.Parameter(p.detach()) for p in point]
        randomness = Randomness(leaves[0].device)
        graph: Vector | None = None
        if len(parts) == 1:
            with oracle.drawing(environment):
                value, graph = _gradient_with_graph(oracle, parts[0], leaves)
            risk, gradient = value.detach(), [g.detach() for g in graph]
            if oracle.loss_scale != 1.0 or oracle.processes.count > 1:
                # What follows writes into the gradient, and double backward still needs the one in the graph.
                gradient = [g / oracle.loss_scale for g in gradient]
            oracle.processes.add([risk])
            oracle.processes.add_gradients(gradient)
        else:
            risk, gradient = oracle.joint_gradient(environment, leaves)

        def local_product(vector: Vector) -> Vector:
            nonlocal graph
            if graph is not None:
                kept, graph = graph, None
                return _double_backward(oracle, kept, leaves, vector)
            total: Vector | None = None
            with randomness.replayed(), buffers_kept(oracle.processes.module), oracle.drawing(environment):
                for part in parts:
                    again = _gradient_with_graph(oracle, part, leaves)[1]
                    total = add_(total, _double_backward(oracle, again, leaves, vector))
            assert total is not None
            return total

        def product(vector: Vector) -> Vector:
            result = divide_(local_product(vector), oracle.loss_scale)
            oracle.processes.add_gradients(result)
            return result

        return Linearization(risk, gradient, product)


def _is_reentrant(checkpoint: object) -> bool:
    return bool(getattr(checkpoint, "keywords", {}).get("use_reentrant", False))


def _gradient_with_graph(oracle: SwappingOracle, part: Part, leaves: Vector) -> tuple[Tensor, Vector]:
    with oracle.places.taken_by(leaves), _twice_differentiable():
        risk = oracle.risk(oracle.processes.module, part.inputs) * part.weight
        gradient = differentiate(risk * oracle.loss_scale, leaves, oracle.used, create_graph=True)
    if oracle.processes.module not in _LOOKED_AT:
        _check_graph([risk, *gradient])
        _LOOKED_AT.add(oracle.processes.module)
    return risk, gradient


def _double_backward(oracle: SwappingOracle, gradient: Vector, leaves: Vector, vector: Vector) -> Vector:
    """H v from the gradient's graph."""
    with_graph = [k for k, g in enumerate(gradient) if g.requires_grad]
    if not with_graph:
        return [torch.zeros_like(leaf) for leaf in leaves]
    # Checkpointing computes part of the forward pass once more in here: it must see the same parameters and kernel.
    with oracle.places.taken_by(leaves), _twice_differentiable():
        product = torch.autograd.grad(
            [gradient[k] for k in with_graph],
            leaves,
            grad_outputs=[vector[k] for k in with_graph],
            allow_unused=True,
        )
    return [torch.zeros_like(leaf) if p is None else p for p, leaf in zip(product, leaves)]


def _check_graph(values: list[Tensor]) -> None:
    """
    Refuse a graph whose second derivative would be silently incomplete: autograd leaves out what raises the error of
    `once_differentiable`, and does not enter a reentrant checkpoint, where only some leaves are asked for.
    """
    nodes = {v.grad_fn for v in values if v.grad_fn is not None}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        name = node.name()
        if name.endswith("::Error") or "CheckpointFunctionBackward" in name:
            once = "a function that is once differentiable"
            what = "reentrant gradient checkpointing" if "Checkpoint" in name else once
            raise ValueError(
                f"The model has {what}, through which there is no second derivative, and meta_gradient='exact' takes "
                f"one. {MEND}"
            )
        following = {n for n, _ in node.next_functions if n is not None} - nodes
        nodes |= following
        waiting += following


@contextmanager
def _twice_differentiable() -> Iterator[None]:
    """
    Attention by the plain kernel, since the fused ones have no second derivative, on the CPU either; every first-order
    pass keeps the fast kernel. What else has none is refused in one sentence.
    """
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    except (RuntimeError, NotImplementedError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        signs = ("not implemented", "double backward", "Checkpointing is not compatible", "use_reentrant=True")
        if any(sign in str(error) for sign in signs):
            raise ValueError(
                "The model has an operation without a second derivative, which meta_gradient='exact' takes "
                f"({first}). {MEND}"
            ) from error
        raise
