"""What an evaluation loop hands to `compute_metrics`: put together again over environments, or taken apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from transformers import EvalPrediction
from transformers.trainer_pt_utils import nested_concat

from ..metrics import ACCURACY


class WithAccuracy:
    """`compute_metrics` of the user, with accuracy beside it where the task is single-label classification."""

    def __init__(self, own: Any, classes: int | None):
        self.own, self.classes = own, classes

    def __call__(self, prediction: EvalPrediction) -> dict[str, Any]:
        """The user's metrics, and accuracy unless they have it."""
        found = dict(self.own(prediction)) if self.own is not None else {}
        ids = class_ids(prediction.predictions, prediction.label_ids, self.classes)
        if ids is not None:
            found = {ACCURACY.name: float((np.asarray(ids) == np.asarray(prediction.label_ids)).mean()), **found}
        return found


class Recorder:
    """A `compute_metrics` that remembers what it was called with, so that it can be called once more for all."""

    def __init__(self, compute: Callable[[EvalPrediction], dict[str, Any]]):
        self.compute = compute
        self.predictions: list[EvalPrediction] = []

    def __call__(self, prediction: EvalPrediction) -> dict[str, Any]:
        """The metrics of one environment."""
        self.predictions.append(prediction)
        return self.compute(prediction)

    def joint(self) -> dict[str, Any]:
        """The metrics of everything it was called with."""
        fields: dict[str, Any] = {}
        for name in ("predictions", "label_ids", "inputs", "losses"):
            values = [getattr(p, name, None) for p in self.predictions]
            fields[name] = None if any(v is None for v in values) else _joined(values)
        return self.compute(EvalPrediction(**fields))


def _joined(values: list[Any]) -> Any:
    """Arrays, lists of batches, or tuples of these, one after another; arrays of different width are padded."""
    if isinstance(values[0], list):
        return [batch for value in values for batch in value]
    total = values[0]
    for value in values[1:]:
        total = nested_concat(total, value, padding_index=-100)
    return total


def class_ids(predictions: Any, labels: Any, classes: int | None) -> Any:
    """
    The predicted class of each row, or `None` where this is not single-label classification.

    Of several outputs the logits are the one matrix with a column for each class.

    Args:
        predictions (array, tensor or tuple of these): what the model gave.
        labels (array or tensor): the references.
        classes (`int`, *optional*): how many classes the model has; any number of columns if `None`.
    """
    if not hasattr(labels, "ndim") or labels.ndim != 1 or "int" not in str(labels.dtype):
        return None
    several = predictions if isinstance(predictions, (tuple, list)) else [predictions]
    matrices = [
        p
        for p in several
        if hasattr(p, "ndim") and p.ndim == 2 and len(p) == len(labels) and p.shape[1] >= 2
        and (classes is None or p.shape[1] == classes)
    ]  # fmt: skip
    if not matrices or (len(matrices) > 1 and classes is not None):
        return None
    return matrices[0].argmax(-1)


def arrays(values: Any) -> list[Any]:
    """One output or several as a list."""
    return [] if values is None else list(values) if isinstance(values, (tuple, list)) else [values]


def take(values: Any, rows: np.ndarray) -> Any:
    """Some rows of one output or of several."""
    return tuple(take(v, rows) for v in values) if isinstance(values, tuple) else values[rows]
