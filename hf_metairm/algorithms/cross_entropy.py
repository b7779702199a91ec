"""What the algorithms that look at logits have in common: the loss must be the cross-entropy of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from ..gradients import Evaluation, Risk
from .features import at_least_single
from .risk_objective import RiskObjective
from .settings import AlgorithmSettings


class Classified(NamedTuple):
    """
    The rows of some inputs as a classifier sees them.

    Args:
        loss (`Tensor`): the mean loss, a scalar.
        logits (`Tensor`): shape (rows, k), k ≥ 2, in single precision at least.
        labels (`Tensor`): int64 class ids of shape (rows,).
        label_smoothing (`float`): ε of the loss.
    """

    loss: Tensor
    logits: Tensor
    labels: Tensor
    label_smoothing: float


class OfCrossEntropy(RiskObjective):
    """
    A [`RiskObjective`] of a classifier's logits.

    Raises:
        ValueError: at the first step, for a model whose loss is not the cross-entropy of its logits.
    """

    def __init__(self, settings: AlgorithmSettings, environments: Sequence[str]):
        super().__init__(settings, environments)
        self._known: WeakSet[nn.Module] = WeakSet()

    def classified(self, model: nn.Module, risk: Risk, inputs: Any) -> Classified:
        """The loss of some rows with their logits and labels, looked at once for each model."""
        if not hasattr(risk, "evaluate"):
            raise ValueError(f"{self.title} looks at logits: give a risk with a method evaluate(model, inputs).")
        found: Evaluation = risk.evaluate(model, inputs)
        if model not in self._known:
            self._check_loss(type(model).__name__, found)
            self._known.add(model)
        assert found.logits is not None
        assert found.labels is not None
        return Classified(found.loss, at_least_single(found.logits), found.labels, found.label_smoothing)

    def _check_loss(self, name: str, found: Evaluation) -> None:
        """The penalty is about the cross-entropy, so that is what the risk must be, too."""
        logits, labels, loss = found.logits, found.labels, found.loss
        ids = isinstance(labels, Tensor) and labels.dim() == 1 and not labels.is_floating_point()
        if logits is None or labels is None or logits.shape[1] < 2 or not ids:
            raise ValueError(
                f"{name} gives no logits of shape (rows, classes) for one class id a row, and {self.title} needs "
                "them: use a classifier, or another algorithm."
            )
        expected = cross_entropy(logits.detach().float(), labels, label_smoothing=found.label_smoothing).to(loss)
        if not torch.allclose(loss.detach(), expected, rtol=0.02, atol=1e-3):
            raise ValueError(
                f"The loss of {name} is {loss.item():.4g} where the cross-entropy of its logits is "
                f"{expected.item():.4g}, and {self.title} knows the cross-entropy alone: train on that, or use "
                "another algorithm."
            )


def residuals(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """
    p − t, the gradient of each row's cross-entropy with respect to its logits: p = softmax(logits), t the target
    (one-hot, or smoothed). Differentiable in the logits.

    Args:
        logits (`Tensor`): float of shape (rows, k), k ≥ 2.
        labels (`Tensor`): int64 class ids of shape (rows,).
        label_smoothing (`float`, *optional*, defaults to 0.0): ε, the share of the target spread over all classes.

    Returns:
        `Tensor`: shape (rows, k).
    """
    classes = logits.shape[1]
    target = one_hot(labels, classes).to(logits.dtype) * (1 - label_smoothing) + label_smoothing / classes
    return logits.softmax(-1) - target
