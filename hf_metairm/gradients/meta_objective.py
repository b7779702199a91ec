"""Adapt to one environment, judge on the others, differentiate through the adaptation: the meta-IRM gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .kinds import KINDS, Kind, Linearization
from .pairs import PairTable, draw_pairs
from .parameters import Vector, add_, trainable_parameters
from .processes import Processes
from .replay import Randomness, buffers_kept
from .risks import Risk, as_parts
from .std_loss import StdLoss


REDUCTIONS = ("sum", "mean")


@dataclass
class MetaGradient:
    """
    What one call of [`meta_gradient`] found.

    Args:
        gradients (list of `Tensor`): ∇J, one tensor for each of [`trainable_parameters`], in their order and shapes.
        used (`list[bool]`): for each of them whether any risk depends on it; its gradient is zero where none does.
        objective (`Tensor`): J, a scalar.
        risks (`dict[Any, Tensor]`): R_i(θ) of each inner environment i.
        meta_losses (`Mapping[tuple, Tensor]`): L_ij = R_j(θ'_i) for each ordered pair (i, j); their `matrix` has all.
        deviation (`Tensor`): σ, the population standard deviation of the meta-losses (of their running means, where
            `std_loss` keeps them).
    """

    gradients: list[Tensor]
    used: list[bool]
    objective: Tensor
    risks: dict[Any, Tensor]
    meta_losses: PairTable
    deviation: Tensor


def meta_gradient(
    model: nn.Module,
    risk: Risk,
    batches: Mapping[Any, Any],
    *,
    inner_learning_rate: float = 0.1,
    inner_steps: int = 1,
    kind: str = "exact",
    scheme: str = "forward",
    outer_environments: int | Literal["all"] = "all",
    same_environment: bool = False,
    reduction: str = "sum",
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
        batches (`Mapping`): for each environment its rows: one batch, a list of micro-batches of equal size whose
            joint gradient is wanted without having them in memory together, or a list of
            [`~hf_metairm.gradients.Part`] where they are not of equal size.
        inner_learning_rate (`float`, *optional*, defaults to 0.1): α.
        inner_steps (`int`, *optional*, defaults to 1): T.
        kind (`str`, *optional*, defaults to `"exact"`): how the Hessian-vector product is computed: `"exact"` (double
            backward), `"finite_difference"` (of ordinary gradients) or `"first_order"` (dropped).
        scheme (`str`, *optional*, defaults to `"forward"`): of the finite difference, `"forward"` or `"central"`.
        outer_environments (`int` or `"all"`, *optional*, defaults to `"all"`): how many outer environments to draw for
            each inner one. Their sum is scaled to stay an unbiased estimate of the sum over all pairs.
        same_environment (`bool`, *optional*, defaults to `False`): evaluate θ'_i on i itself (an ablation).
        reduction (`str`, *optional*, defaults to `"sum"`): `"sum"` is J as it is published; `"mean"` has twice the
            mean of the meta-losses in place of their sum, so that λ and J do not depend on the number of environments.
            For two the one is the other.
        std_loss ([`StdLoss`], *optional*): λσ; keep one object over the steps if it has a momentum. λ = 1 if `None`.
        generator (`torch.Generator`, *optional*): draws the outer environments; must agree over the processes.
        loss_scale (`float`, *optional*, defaults to 1.0): see [`Oracle`]; the result does not depend on it.
        compute_dtype (`torch.dtype`, *optional*): the dtype of autocast where `risk` computes under it; the step of
            the finite difference is chosen by it. The parameters' own if `None`.

    Returns:
        [`MetaGradient`]

    Raises:
        ValueError: an unknown `kind`, `scheme` or `reduction`, too few environments, no trainable parameter, or a
            model that this kind of meta-gradient cannot be right for.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"There is no reduction {reduction!r}: use {' or '.join(REDUCTIONS)}.")
    how: Kind = KINDS.get_or_refuse(kind)(scheme, compute_dtype)
    check_model(model, how)
    std_loss = StdLoss() if std_loss is None else std_loss
    pairs = draw_pairs(sorted(batches), outer_environments, same_environment, generator)
    processes = Processes(model)
    parameters = trainable_parameters(processes.module)
    oracle = how.oracle(processes, parameters, risk, as_parts(batches, processes.count), loss_scale)

    def adapt(i: Any) -> tuple[list[Linearization], Vector]:
        """R_i's derivatives at θ⁰ … θᵀ⁻¹, and θᵀ⁻¹ itself; θ'_i is one step along the last gradient from there."""
        point = oracle.theta
        steps: list[Linearization] = []
        for step in range(inner_steps):
            if step > 0:
                gradient = steps[-1].gradient
                point = [torch.add(p.detach(), g, alpha=-inner_learning_rate) for p, g in zip(point, gradient)]
            steps.append(how.linearize(oracle, i, point))
        return steps, point

    def survey() -> PairTable:
        """w_ij of every pair, from a first pass over the meta-losses alone that leaves no trace."""
        table: PairTable | None = None
        with Randomness(parameters[0].device).replayed(), buffers_kept(processes.module):
            for i, outer in pairs.items():
                steps, point = adapt(i)
                for j in outer:
                    loss = oracle.loss(j, point, steps[-1].gradient, -inner_learning_rate)
                    processes.add([loss])
                    table = PairTable(list(pairs), loss.dtype, loss.device, math.nan) if table is None else table
                    table[i, j] = std_loss.observe((i, j), loss)
                del steps, point
        assert table is not None
        a, b = std_loss.mix(sum_weight)
        table.matrix.mul_(b).add_(a)
        return table

    drawn = sum(len(outer) for outer in pairs.values())
    published = len(pairs) if same_environment else len(pairs) * (len(pairs) - 1)  # terms of the sum
    sum_weight = (2 if reduction == "mean" else published) / drawn
    # w_ij depends on σ, which is not known before the last pair is evaluated. Where each i has one j,
    # w_ij = a + b x_ij is a factor of the whole v_i, and Σ v_i and Σ x_ij v_i can be mixed at the end. Else σ is
    # computed first, in a pass of its own: one vector goes through each Hessian, and memory stays flat.
    two_passes = std_loss.weight != 0 and drawn > len(pairs)
    weights: PairTable | None = None
    plain: Vector | None = None
    weighted: Vector | None = None
    risks: dict[Any, Tensor] = {}
    meta_losses: PairTable | None = None
    std_loss.start(drawn)
    try:
        if two_passes:
            weights = survey()
        for i, outer in pairs.items():
            steps, point = adapt(i)
            risks[i] = steps[0].risk
            vector: Vector | None = None
            for j in outer:
                loss, gradient = oracle.gradient(j, point, steps[-1].gradient, -inner_learning_rate)
                processes.add([loss])
                first = meta_losses is None
                if meta_losses is None:
                    meta_losses = PairTable(list(pairs), loss.dtype, loss.device, math.nan)
                meta_losses[i, j] = loss
                if weights is not None:
                    torch._foreach_mul_(gradient, weights[i, j])
                else:
                    x = std_loss.observe((i, j), loss)
                vector = add_(vector, gradient)
                del gradient
            assert vector is not None
            processes.add_gradients(vector)
            while steps:
                torch._foreach_add_(vector, steps.pop().hessian_times(vector), alpha=-inner_learning_rate)
            if std_loss.weight != 0 and not two_passes and not first:  # The first x_ij of all is 0.
                weighted = add_(weighted, vector, x)
            plain = add_(plain, vector)
            del vector, point
    finally:
        oracle.close()

    assert plain is not None
    assert meta_losses is not None
    if not two_passes:
        a, b = std_loss.mix(sum_weight)
        for k, p in enumerate(plain):
            p.mul_(a)
            if weighted is not None:
                p.addcmul_(weighted[k], b)
    deviation = std_loss.deviation()
    objective = (sum_weight * meta_losses.matrix.nansum() + std_loss.weight * deviation) / std_loss.divisor
    return MetaGradient(plain, processes.any(oracle.used), objective, risks, meta_losses, deviation)


def check_model(model: nn.Module, kind: Kind) -> None:
    """Raise `ValueError` for a model whose meta-gradient could not be right."""
    if not trainable_parameters(model):
        raise ValueError("The model has no parameter that requires a gradient: unfreeze some before training.")
    for name, module in model.named_modules():
        limit = module.max_norm if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) else None
        if limit is not None and module.weight.requires_grad:
            raise ValueError(
                f"The embedding {name!r} has max_norm={limit:g}: it changes its rows in every forward pass, so the "
                "adapted model would not be the one that is evaluated. Set its max_norm to None."
            )
    kind.check(model)
