"""`IRMTrainer`: a penalty on how much each environment would rescale the logits (Arjovsky et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..objectives import irm_penalty, scale_gradients
from .base import EnvironmentTrainer
from .configs import PenaltyConfig, annealing_in_words
from .model_card import Objective


@dataclass
class IRMConfig(PenaltyConfig):
    """
    Arguments of [`IRMTrainer`]: those of [`PenaltyConfig`] and the following.

    Args:
        unbiased_penalty (`bool`, *optional*, defaults to `False`):
            Take the penalty as the product of the gradients of two halves of each environment's rows, which on small
            batches is an unbiased estimate, instead of as the square of one gradient. It may be negative.
    """

    unbiased_penalty: bool = field(
        default=False, metadata={"help": "The product of two halves' gradients instead of one gradient's square."}
    )


class IRMTrainer(EnvironmentTrainer):
    """
    IRMv1: mean_e R_e + `penalty_weight` · mean_e ‖∇_s R_e(s ∘ logits)‖² at s = 1.

    The dummy scale s is a number for two classes and a vector with one entry per class for more; see
    [`~hf_metairm.objectives.scale_gradients`]. Takes what `transformers.Trainer` takes; `args` is an [`IRMConfig`].
    The loss must be the cross-entropy of the model's logits, with or without label smoothing. Logged beside the loss
    and each environment's risk: `irm_penalty`.

    Raises:
        ValueError: at the first step, for a model whose loss is not the cross-entropy of its logits.
    """

    args: IRMConfig
    _tag_names = ("irmv1", "invariant-risk-minimization", "hf-metairm", "out-of-distribution")
    _name = "IRMv1"
    _paper = """@article{arjovsky2019invariant,
  title={Invariant Risk Minimization},
  author={Arjovsky, Martin and Bottou, L{\\'e}on and Gulrajani, Ishaan and Lopez-Paz, David},
  journal={arXiv preprint arXiv:1907.02893},
  year={2019}
}"""

    def __init__(self, model: Any = None, args: IRMConfig | None = None, **kwargs: Any):
        args = IRMConfig(output_dir="tmp_trainer") if args is None else args
        if not isinstance(args, IRMConfig):
            raise ValueError(f"args is a {type(args).__name__}: IRMTrainer takes an IRMConfig.")
        super().__init__(model, args, **kwargs)
        self._loss_is_known = False
        if args.unbiased_penalty and self.environments is not None and self._make_sampler().share % 2:
            raise ValueError(
                f"{self._make_sampler().share} rows of each environment in a batch cannot be halved, as "
                "unbiased_penalty=True wants: change per_device_train_batch_size to give each an even number."
            )

    def statistics(self, model: nn.Module, rows: dict[str, Any]) -> Tensor:
        """The risk and the row means of the dummy gradient: shape (1 + m,), or (1 + 2m,) with two halves."""
        with self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, dict(rows), return_outputs=True)
        logits, labels = _logits_of(outputs), rows.get("labels")
        if not self._loss_is_known:
            self._check_loss(loss, logits, labels)
        assert logits is not None
        assert labels is not None
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        gradients = scale_gradients(logits, labels, self.args.label_smoothing_factor)
        halves = [gradients[::2], gradients[1::2]] if self.args.unbiased_penalty else [gradients]
        return torch.cat([loss.reshape(1).to(logits.dtype), *(half.mean(0) for half in halves)])

    def objective_of(self, risks: Tensor, others: Tensor, environments: list[int]) -> Tensor:
        """IRMv1 with the weight of this step, divided by that where it is above 1."""
        weight, divisor = self.args.weight_at(self.state.global_step)
        penalty = irm_penalty(*others.chunk(2 if self.args.unbiased_penalty else 1, dim=1))
        self.log_with_loss("irm_penalty", penalty)
        return (risks.mean() + weight * penalty) / divisor

    @property
    def objective_divisor(self) -> float:
        """The weight of this step, or 1 if that is larger."""
        return self.args.weight_at(self.state.global_step)[1]

    def objective_description(self) -> Objective:
        """The risks and the penalty on the gradient of a dummy scale, with its weight."""
        weight = self.args.penalty_weight
        square = "the product of two halves' gradients" if self.args.unbiased_penalty else "that of its gradient"
        return Objective(
            f"J(θ) = (1/E) Σ_e R_e(θ) + {weight:g} · (1/E) Σ_e ‖∇_s R_e(s ∘ logits)‖² at s = 1{self._l2_term}",
            f"R_e is the mean loss over the rows of environment e, s a scale on the logits, the square {square}."
            f"{annealing_in_words(weight, self.args.penalty_anneal_steps)}",
            "cues whose strength differs between the training environments: each of them alone should not want "
            "the logits any larger or smaller",
        )

    def _check_loss(self, loss: Tensor, logits: Tensor | None, labels: Any) -> None:
        """The penalty is about the cross-entropy, so that is what the risk must be, too."""
        name = type(self.model).__name__
        ids = isinstance(labels, Tensor) and labels.dim() == 1 and not labels.is_floating_point()
        if logits is None or logits.shape[1] < 2 or not ids:
            raise ValueError(
                f"{name} gives no logits of shape (rows, classes) for one class id a row, and IRMTrainer needs them: "
                "use a classifier, or another algorithm."
            )
        smoothing = self.args.label_smoothing_factor
        expected = cross_entropy(logits.detach().float(), labels, label_smoothing=smoothing).to(loss)
        if not torch.allclose(loss.detach(), expected, rtol=0.02, atol=1e-3):
            raise ValueError(
                f"The loss of {name} is {loss.item():.4g} where the cross-entropy of its logits is "
                f"{expected.item():.4g}, and IRMTrainer's penalty knows the cross-entropy alone: train on that, or "
                "use another algorithm."
            )
        self._loss_is_known = True


def _logits_of(outputs: Any) -> Tensor | None:
    """The first matrix that the model gives, which in a mapping is called `logits`."""
    candidates = [outputs.get("logits")] if isinstance(outputs, Mapping) else list(outputs)
    return next((o for o in candidates if isinstance(o, Tensor) and o.dim() == 2), None)
