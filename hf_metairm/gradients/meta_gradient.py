"""Adapt to one environment, judge on the others, differentiate through the adaptation: the meta-IRM gradient."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .hessian import SCHEMES, Linearization, exact, finite_difference, first_order
from .oracles import FunctionalOracle, InPlaceOracle, Risk, Vector, add_
from .processes import Processes
from .replay import Randomness, buffers_kept
from .std_loss import Pair, StdLoss


META_GRADIENTS = ("exact", "finite_difference", "first_order")


@dataclass
class MetaGradient:
    """
    What one call of [`meta_gradient`] found.

    Args:
        gradients (list of `Tensor`): ∇J, one tensor for each of [`trainable_parameters`], in their order and shapes.
        objective (`Tensor`): J, a scalar.
        risks (`dict[int, Tensor]`): R_i(θ) of each inner environment i.
        meta_losses (`dict[tuple[int, int], Tensor]`): L_ij = R_j(θ'_i) for each ordered pair (i, j).
        deviation (`Tensor`): σ, the population standard deviation of the meta-losses (of their running means, where
            `std_loss` keeps them).
    """

    gradients: list[Tensor]
    objective: Tensor
    risks: dict[int, Tensor]
    meta_losses: dict[Pair, Tensor]
    deviation: Tensor


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """θ: the parameters of `model` that require a gradient, each once even where it is tied."""
    return [p for p in model.parameters() if p.requires_grad]


def draw_pairs(
    environments: Sequence[int],
    outer_environments: int | Literal["all"] = "all",
    same_environment: bool = False,
    generator: torch.Generator | None = None,
) -> dict[int, list[int]]:
    """
    For each inner environment i the outer environments j on which θ'_i is judged: all others, or `outer_environments`
    of them drawn without replacement, or i itself (the ablation `same_environment`).

    Raises:
        ValueError: fewer than two environments, or fewer others than are to be drawn.
    """
    if same_environment:
        return {i: [i] for i in environments}
    if len(environments) < 2:
        raise ValueError("meta-IRM judges what it adapted to one environment on another: give at least two.")
    others = {i: [j for j in environments if j != i] for i in environments}
    if outer_environments == "all":
        return others
    if not 1 <= outer_environments < len(environments):
        raise ValueError(
            f"outer_environments={outer_environments} of {len(environments) - 1} other environments cannot be drawn: "
            f'use a number from 1 to {len(environments) - 1}, or "all".'
        )
    return {
        i: [js[k] for k in torch.randperm(len(js), generator=generator)[:outer_environments].tolist()]
        for i, js in others.items()
    }


def meta_gradient(
    model: nn.Module,
    risk: Risk,
    batches: Mapping[int, Any],
    *,
    inner_learning_rate: float = 0.1,
    inner_steps: int = 1,
    kind: str = "exact",
    scheme: str = "forward",
    outer_environments: int | Literal["all"] = "all",
    same_environment: bool = False,
    std_loss: StdLoss | None = None,
    generator: torch.Generator | None = None,
    loss_scale: float = 1.0,
    compute_dtype: torch.dtype | None = None,
) -> MetaGradient:
    r"""
    The gradient of the meta-IRM objective (Bae, Choi & Lee 2021, arXiv 2103.12947)

        J(θ) = Σ_i Σ_{j≠i} R_j(θ'_i) + λσ,   θ'_i = θᵀ of θᵗ⁺¹ = θᵗ − α ∇R_i(θᵗ), θ⁰ = θ,

    without a graph through the inner loop: with w_ij = dJ/dL_ij (see [`StdLoss`]), for each i

        v ← Σ_j w_ij ∇R_j(θ'_i);   for t = T−1 … 0: v ← v − α H_i(θᵗ) v;   ∇J = Σ_i v.

    One inner environment is worked on at a time and its graph dropped before the next, so memory does not grow with
    the number of environments. Where an inner environment has several outer ones and λ > 0, the meta-losses are
    evaluated once more, ahead of their gradients, to know σ. The model's parameters and their `.grad` are left as they
    were, also when an exception passes through. Under DDP or FSDP2 every process calls this with its own rows, and
    every process gets the gradient of the joint batch.

    Args:
        model (`nn.Module`): as it is trained, in its DDP wrapper where it has one.
        risk (`Callable[[nn.Module, Any], Tensor]`): the mean loss of a model over a batch, a scalar. It must call the
            model that it is given.
        batches (`Mapping[int, Any]`): for each environment its rows, as one batch or as a list of micro-batches of
            equal size whose joint gradient is wanted without having them in memory together.
        inner_learning_rate (`float`, *optional*, defaults to 0.1): α.
        inner_steps (`int`, *optional*, defaults to 1): T.
        kind (`str`, *optional*, defaults to `"exact"`): how H v is had: `"exact"` (double backward),
            `"finite_difference"` (of ordinary gradients) or `"first_order"` (dropped).
        scheme (`str`, *optional*, defaults to `"forward"`): of the finite difference, `"forward"` or `"central"`.
        outer_environments (`int` or `"all"`, *optional*, defaults to `"all"`): how many outer environments to draw for
            each inner one. Their sum is scaled to stay an unbiased estimate of the sum over all pairs.
        same_environment (`bool`, *optional*, defaults to `False`): evaluate θ'_i on i itself (an ablation).
        std_loss ([`StdLoss`], *optional*): λσ; keep one object over the steps if it has a momentum. λ = 1 if `None`.
        generator (`torch.Generator`, *optional*): draws the outer environments; must agree over the processes.
        loss_scale (`float`, *optional*, defaults to 1.0): see [`InPlaceOracle`]; the result does not depend on it.
        compute_dtype (`torch.dtype`, *optional*): the dtype of autocast where `risk` computes under it; the step of
            the finite difference is chosen by it. The parameters' own if `None`.

    Returns:
        [`MetaGradient`]

    Raises:
        ValueError: an unknown `kind` or `scheme`, too few environments, no trainable parameter, or an `exact`
            gradient asked of a model that only the other kinds can give one of.
    """
    _check(model, kind, scheme)
    std_loss = StdLoss() if std_loss is None else std_loss
    pairs = draw_pairs(sorted(batches), outer_environments, same_environment, generator)
    micro_batches = {i: batch if isinstance(batch, list) else [batch] for i, batch in batches.items()}
    processes = Processes(model)
    parameters = trainable_parameters(processes.module)
    make_oracle = FunctionalOracle if kind == "exact" else InPlaceOracle
    oracle = make_oracle(processes, parameters, risk, micro_batches, loss_scale)
    linearize: Any = {
        "exact": exact,
        "finite_difference": functools.partial(finite_difference, scheme=scheme, compute_dtype=compute_dtype),
        "first_order": first_order,
    }[kind]

    def adapt(i: int) -> tuple[list[Linearization], Vector]:
        """R_i's derivatives at θ⁰ … θᵀ⁻¹, and θᵀ⁻¹ itself; θ'_i is one step along the last gradient from there."""
        point = oracle.theta
        steps: list[Linearization] = []
        for step in range(inner_steps):
            if step > 0:
                gradient = steps[-1].gradient
                point = [torch.add(p.detach(), g, alpha=-inner_learning_rate) for p, g in zip(point, gradient)]
            steps.append(linearize(oracle, i, point))
        return steps, point

    def survey() -> dict[Pair, Tensor]:
        """w_ij of every pair, from a first pass over the meta-losses alone that leaves no trace."""
        x = {}
        with Randomness(parameters[0].device).replayed(), buffers_kept(processes.module):
            for i, outer in pairs.items():
                steps, point = adapt(i)
                for j in outer:
                    loss = oracle.loss(j, point, steps[-1].gradient, -inner_learning_rate)
                    processes.average([loss])
                    x[i, j] = std_loss.observe((i, j), loss)
                del steps, point
        a, b = std_loss.mix(sum_weight)
        return {pair: a + b * value for pair, value in x.items()}

    drawn = sum(len(outer) for outer in pairs.values())
    sum_weight = 1.0 if same_environment else len(pairs) * (len(pairs) - 1) / drawn
    # w_ij depends on σ, which is not known before the last pair is evaluated. Where each i has one j,
    # w_ij = a + b x_ij is a factor of the whole v_i, and Σ v_i and Σ x_ij v_i can be mixed at the end. Else σ is had
    # first, in a pass of its own: one vector goes through each Hessian, and memory stays flat.
    two_passes = std_loss.weight != 0 and drawn > len(pairs)
    weights: dict[Pair, Tensor] = {}
    plain: Vector | None = None
    weighted: Vector | None = None
    risks: dict[int, Tensor] = {}
    meta_losses: dict[Pair, Tensor] = {}
    std_loss.start()
    try:
        if two_passes:
            weights = survey()
        for i, outer in pairs.items():
            steps, point = adapt(i)
            risks[i] = steps[0].risk
            vector: Vector | None = None
            for j in outer:
                loss, gradient = oracle.gradient(j, point, steps[-1].gradient, -inner_learning_rate)
                processes.average([loss])
                meta_losses[i, j] = loss
                if two_passes:
                    torch._foreach_mul_(gradient, weights[i, j])
                else:
                    x = std_loss.observe((i, j), loss)
                vector = add_(vector, gradient)
                del gradient
            assert vector is not None
            processes.average_gradients(vector)
            while steps:
                torch._foreach_add_(vector, steps.pop().hessian_times(vector), alpha=-inner_learning_rate)
            if std_loss.weight != 0 and not two_passes and len(meta_losses) > 1:  # The first x_ij of all is 0.
                weighted = add_(weighted, vector, x)
            plain = add_(plain, vector)
            del vector, point
    finally:
        oracle.close()

    assert plain is not None
    if not two_passes:
        a, b = std_loss.mix(sum_weight)
        for k, p in enumerate(plain):
            p.mul_(a)
            if weighted is not None:
                p.addcmul_(weighted[k], b)
    deviation = std_loss.deviation()
    total = torch.stack(list(meta_losses.values())).sum()
    objective = (sum_weight * total + std_loss.weight * deviation) / std_loss.divisor
    return MetaGradient(plain, objective, risks, meta_losses, deviation)


def _check(model: nn.Module, kind: str, scheme: str) -> None:
    if kind not in META_GRADIENTS:
        raise ValueError(f"Unknown kind of meta-gradient {kind!r}: use one of {', '.join(META_GRADIENTS)}.")
    if scheme not in SCHEMES:
        raise ValueError(f"Unknown finite-difference scheme {scheme!r}: use one of {', '.join(SCHEMES)}.")
    parameters = trainable_parameters(model)
    if not parameters:
        raise ValueError("The model has no parameter that requires a gradient: unfreeze some before training.")
    if kind == "finite_difference" and any(torch.finfo(p.dtype).bits < 32 for p in parameters):
        raise ValueError(
            "Parameters in half precision are too coarse for finite differences: keep them in float32 and use bf16 or "
            "fp16 autocast, or choose meta_gradient='exact'."
        )
    if kind == "exact":
        _check_exact(model)


def _check_exact(model: nn.Module) -> None:
    mend = "Use meta_gradient='finite_difference', which needs only ordinary backward passes."
    # The flag of transformers, and the wrapper that torch.distributed and Accelerate's FSDP put around a module.
    flags = ("gradient_checkpointing", "_checkpoint_wrapped_module")
    if any(getattr(module, flag, False) for module in model.modules() for flag in flags):
        raise ValueError(
            f"meta_gradient='exact' would be silently wrong under gradient checkpointing, whose recomputation sees θ "
            f"where θ' is meant. {mend}"
        )
    if any(hasattr(module, "_orig_mod") for module in model.modules()):
        raise ValueError(f"torch.compile has no double backward, which meta_gradient='exact' takes. {mend}")
    if any(hasattr(p, "to_local") for p in model.parameters()):
        raise ValueError(f"FSDP2's hooks do not reach the double backward of meta_gradient='exact'. {mend}")
    for module in model.modules():
        attention = getattr(getattr(module, "config", None), "_attn_implementation", None) or ""
        if "flash" in attention or "flex" in attention:
            raise ValueError(f"{attention} has no second derivative, which meta_gradient='exact' takes. {mend}")
