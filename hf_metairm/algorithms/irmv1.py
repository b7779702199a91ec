"""IRMv1: a penalty on how much each environment would rescale the logits (Arjovsky et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..gradients import Risk
from .base import Logs, Step, algorithm
from .cross_entropy import OfCrossEntropy, residuals
from .description import Description
from .risk_objective import WeightedPenalty
from .settings import ANNEALING, PenaltySettings, Range, annealing_in_words


@dataclass
class IRMSettings(PenaltySettings):
    """
    Settings of IRMv1.

    Args:
        unbiased_penalty (`bool`, *optional*, defaults to `False`):
            Take the penalty as the product of the gradients of two halves of each environment's rows, which on small
            batches is an unbiased estimate, instead of as the square of one gradient. It may be negative.
    """

    unbiased_penalty: bool = field(
        default=False, metadata={"help": "The product of two halves' gradients instead of one gradient's square."}
    )

    search_space = {"penalty_weight": Range(1e1, 1e5), "penalty_anneal_steps": ANNEALING}  # noqa: RUF012
    on_features = {"penalty_weight": 1e3, "penalty_anneal_steps": 60}  # noqa: RUF012


@algorithm("irmv1")
class IRMv1(OfCrossEntropy, WeightedPenalty):
    """
    mean_e R_e + `penalty_weight` · mean_e ‖∇_s R_e(s ∘ logits)‖² at s = 1.

    The dummy scale s is a number for two classes and a vector with one entry per class for more; see
    [`scale_gradients`]. The loss must be the cross-entropy of the model's logits, with or without label smoothing.
    Logged: `irm_penalty`.

    Raises:
        ValueError: at the first step, for a model whose loss is not the cross-entropy of its logits.
    """

    title = "IRMv1"
    tags = ("irmv1", "invariant-risk-minimization")
    paper = """@article{arjovsky2019invariant,
  title={Invariant Risk Minimization},
  author={Arjovsky, Martin and Bottou, L{\\'e}on and Gulrajani, Ishaan and Lopez-Paz, David},
  journal={arXiv preprint arXiv:1907.02893},
  year={2019}
}"""
    Settings = IRMSettings
    settings: IRMSettings

    def check(self, model: nn.Module, share: int) -> None:
        """Rows that can be halved, where they are to be."""
        super().check(model, share)
        check_halves(self.settings, share)

    def statistics(self, model: nn.Module, risk: Risk, inputs: Any) -> Tensor:
        """The risk and the row means of the dummy gradient: shape (1 + m,), or (1 + 2m,) with two halves."""
        found = self.classified(model, risk, inputs)
        gradients = scale_gradients(found.logits, found.labels, found.label_smoothing)
        means = (half.mean(0) for half in halves(self.settings, gradients))
        return torch.cat([found.loss.reshape(1).to(gradients.dtype), *means])

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """IRMv1 with the weight of this step, divided by that where it is above 1."""
        weight, divisor = self.settings.weight_at(step.number)
        logs["irm_penalty"] = penalty = self.penalty(others)
        return (risks.mean() + weight * penalty) / divisor

    def penalty(self, gradients: Tensor) -> Tensor:
        """That of the joint row means that [`statistics`] gives beside the risk, shape (E, m) or (E, 2m)."""
        return irm_penalty(*gradients.chunk(2 if self.settings.unbiased_penalty else 1, dim=1))

    def describe(self) -> Description:
        """The risks and the penalty on the gradient of a dummy scale, with its weight."""
        weight = self.settings.penalty_weight
        square = "the product of two halves' gradients" if self.settings.unbiased_penalty else "that of its gradient"
        return Description(
            f"J(θ) = (1/E) Σ_e R_e(θ) + {weight:g} · (1/E) Σ_e ‖∇_s R_e(s ∘ logits)‖² at s = 1{self._l2_term()}",
            f"R_e is the mean loss over the rows of environment e, s a scale on the logits, the square {square}."
            f"{annealing_in_words(weight, self.settings.penalty_anneal_steps)}",
            "cues whose strength differs between the training environments: each of them alone should not want "
            "the logits any larger or smaller",
        )


def check_halves(settings: IRMSettings, share: int) -> None:
    """Refuse an odd number of rows of each environment where they are to be halved."""
    if settings.unbiased_penalty and share % 2:
        raise ValueError(
            f"{share} rows of each environment in a batch cannot be halved, as unbiased_penalty=True wants: "
            "change per_device_train_batch_size to give each an even number."
        )


def halves(settings: IRMSettings, rows: Tensor) -> list[Tensor]:
    """Every other row and the rest where the penalty is to be unbiased; else all of them."""
    return [rows[::2], rows[1::2]] if settings.unbiased_penalty else [rows]


def scale_gradients(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    r"""
    The gradient of each row's cross-entropy with respect to a dummy scale s = 1 that multiplies the logits.

    With z the logits, p = softmax(z) and t the target (one-hot, or smoothed), d/ds_c CE(s ∘ z, t) = z_c (p_c − t_c) at
    s = 1. For two classes s is one number and the terms are summed: this is the gradient with respect to a scale on
    the single logit z_1 − z_0 of Arjovsky et al. 2019 (arXiv 1907.02893, section 3.1). For more classes s is a vector
    with one entry per class, as in Choe et al. 2020 (arXiv 2004.05007).

    The form is closed, so that the penalty needs one ordinary backward pass and no second derivative of the model.

    Args:
        logits (`Tensor`): float of shape (rows, k), k ≥ 2.
        labels (`Tensor`): int64 class ids of shape (rows,).
        label_smoothing (`float`, *optional*, defaults to 0.0): ε, the share of the target spread over all classes.

    Returns:
        `Tensor`: shape (rows, 1) for two classes, else (rows, k); differentiable in the logits.

    Raises:
        ValueError: logits or labels of another shape.
    """
    if logits.dim() != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"Logits of shape {tuple(logits.shape)} with labels of shape {tuple(labels.shape)} have no IRM penalty: "
            "give (rows, k) logits for k ≥ 2 classes and one class id for each row."
        )
    terms = logits * residuals(logits, labels, label_smoothing)
    return terms.sum(-1, keepdim=True) if logits.shape[1] == 2 else terms


def irm_penalty(gradients: Tensor, others: Tensor | None = None) -> Tensor:
    r"""
    The penalty of IRMv1: mean_e ‖g_e‖², where g_e is the gradient of R_e with respect to the dummy scale.

    IRMv1's objective is mean_e R_e + weight · mean_e ‖g_e‖² (Arjovsky et al. 2019, arXiv 1907.02893, section 3.1).

    On a batch the square of an estimated gradient is too large by the gradient's variance. With the gradients of two
    disjoint halves of the batch, mean_e g_e · g'_e is unbiased (section 3.2 there); it may be negative.

    Args:
        gradients (`Tensor`): shape (E, m): row means of [`scale_gradients`].
        others (`Tensor`, *optional*): the same from the other half of the rows, shape (E, m).

    Returns:
        `Tensor`: a scalar.
    """
    return (gradients * (gradients if others is None else others)).sum(-1).mean()
