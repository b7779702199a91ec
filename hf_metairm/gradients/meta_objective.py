"""Adapt to one environment, judge on the others, differentiate through the adaptation: the meta-IRM gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .choice import AUTO, choose_kind
from .kinds import KINDS, Kind
from .pairs import PairTable, draw_pairs
from .parameters import relative_distance, trainable_parameters
from .problem import Found, Problem
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
        error (`Tensor`, *optional*): how far the gradient is from that of a more precise kind, relative to the latter;
            where it was asked for, and there is one.
    """

    gradients: list[Tensor]
    used: list[bool]
    objective: Tensor
    risks: dict[Any, Tensor]
    meta_losses: PairTable
    deviation: Tensor
    error: Tensor | None = None


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
    measure_error: bool = False,
) -> MetaGradient:
    r"""
    The gradient of the meta-IRM objective (Bae, Choi & Lee 2021, arXiv 2103.12947)

        J(θ) = Σ_i Σ_{j≠i} R_j(θ'_i) + λσ,   θ'_i = θᵀ of θᵗ⁺¹ = θᵗ − α ∇R_i(θᵗ), θ⁰ = θ,

    without a graph through the inner loop: the kinds say how ([`Unrolled`], [`CrossedDifference`]). Memory does not
    grow with the number of environments, but for small inner gradients that are kept. The model's parameters and their
    `.grad` are left as they were, also when an exception passes through. Under DDP or FSDP2 every process calls this
    with its own rows, and every process gets the gradient of the joint batch.

    With `measure_error` the gradient is computed once more by a more precise kind, on the same rows with the same
    dropout masks: by double backward where the model has no more than ten million parameters and a second derivative,
    else by the central difference, which is off by some 1e-4 itself (some percent under half-precision autocast).
    This costs E(E − 1) + E gradients and E Hessian products, about two more steps, and the memory of such a step
    beside the gradient that was found. So the error is that of the whole gradient and no estimate.

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
            backward), `"finite_difference"` (of ordinary gradients), `"crossed_difference"` (of those that are there
            anyway; for one inner step, α small and other environments) or `"first_order"` (dropped); `"auto"` takes
            what [`choose_kind`] says.
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
        measure_error (`bool`, *optional*, defaults to `False`): whether to measure the relative error of a
            `"crossed_difference"` or a forward `"finite_difference"`.

    Returns:
        [`MetaGradient`]

    Raises:
        ValueError: an unknown `kind`, `scheme` or `reduction`, too few environments, no trainable parameter, or a
            model or an objective that this kind of meta-gradient cannot be right for.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"There is no reduction {reduction!r}: use {' or '.join(REDUCTIONS)}.")
    if kind == AUTO:
        kind = choose_kind(model, inner_learning_rate, inner_steps, same_environment).kind
    how: Kind[Any] = KINDS.get_or_refuse(kind)(scheme, compute_dtype)
    check_model(model, how)
    how.check_objective(inner_steps, same_environment)
    std_loss = StdLoss() if std_loss is None else std_loss
    pairs = draw_pairs(sorted(batches), outer_environments, same_environment, generator, how.both_ways)
    processes = Processes(model)
    parameters = trainable_parameters(processes.module)
    parts = as_parts(batches, processes.count)
    drawn = sum(len(outer) for outer in pairs.values())
    published = len(pairs) if same_environment else len(pairs) * (len(pairs) - 1)  # terms of the sum
    sum_weight = (2 if reduction == "mean" else published) / drawn
    masks: dict[Any, Randomness] | None = {} if how.one_mask else None

    def differentiate(how: Kind[Any], weights: PairTable | None = None) -> tuple[Found, list[bool]]:
        oracle = how.oracle(processes, parameters, risk, parts, loss_scale, masks)
        try:
            problem = Problem(oracle, pairs, std_loss, sum_weight, inner_learning_rate, inner_steps, weights)
            return how.differentiate(problem), oracle.used
        finally:
            oracle.close()

    start = Randomness(parameters[0].device)
    found, used = differentiate(how)
    error = None
    if measure_error and (references := how.references(processes.module)):
        # The same draws and the same weights, so that the two differ by how they compute and by nothing else.
        with start.replayed(), buffers_kept(processes.module):
            for number, reference in enumerate(references, 1):
                try:
                    precise = differentiate(reference, found.weights)[0].gradient
                    break
                except ValueError:  # Double backward met an operation that has none.
                    if number == len(references):
                        raise
        error = relative_distance(found.gradient, precise)
        processes.add([error.div_(processes.count)])  # Alike on every process to the last bit.
    deviation = std_loss.deviation()
    objective = (sum_weight * found.meta_losses.matrix.nansum() + std_loss.weight * deviation) / std_loss.divisor
    return MetaGradient(
        found.gradient, processes.any(used), objective, found.risks, found.meta_losses, deviation, error
    )


def check_model(model: nn.Module, kind: Kind[Any]) -> None:
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
