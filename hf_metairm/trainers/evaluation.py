"""Evaluation per environment, as a part of every Trainer of this library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction, Trainer

from ..metrics import EnvironmentAccuracy


class EnvironmentEvaluation(Trainer):
    """
    The evaluation half of [`EnvironmentTrainer`]: carries the environment of every evaluated row to the metrics.

    The labels that `compute_metrics` and `predict` see stay what they are in a plain Trainer.
    """

    def _set_up_evaluation(self, environment_column: str) -> None:
        self.environment_column = environment_column
        self.environment_names: list[str] = []
        self._evaluated: list[torch.Tensor] = []
        self._own_metrics = self.compute_metrics
        self.compute_metrics = self._metrics_per_environment

    def evaluate(self, eval_dataset: Any = None, *args: Any, **kwargs: Any) -> dict[str, float]:
        """
        `transformers.Trainer.evaluate`, with metrics per environment where the dataset has the environment column.

        A dictionary of datasets is evaluated one by one, as in a plain Trainer; each may hold several environments.
        """
        self._evaluated = []
        return super().evaluate(eval_dataset, *args, **kwargs)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """`transformers.Trainer.evaluation_loop`, which starts with no environments gathered."""
        self._evaluated = []
        return super().evaluation_loop(*args, **kwargs)

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> Any:
        """`transformers.Trainer.prediction_step` on the batch without its environment ids, which are gathered."""
        inputs = dict(inputs)
        ids = inputs.pop(self.environment_column, None)
        if ids is not None:
            self._evaluated.append(self.gather_function(ids.to(self.args.device)).cpu())
        return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys=ignore_keys)

    def _metrics_per_environment(self, prediction: EvalPrediction, **kwargs: Any) -> dict[str, Any]:
        metrics = self._own_metrics(prediction, **kwargs) if self._own_metrics else {}
        classes = _class_ids(prediction)
        if not self._evaluated:
            if classes is not None and not self._own_metrics:
                metrics["accuracy"] = float((classes == prediction.label_ids).mean())
            return metrics
        names = np.asarray(self.environment_names)[torch.cat(self._evaluated).numpy()]
        if self._own_metrics:
            metrics = {**metrics, **_of_each_environment(self._own_metrics, prediction, names)}
        if classes is not None:
            accuracy = EnvironmentAccuracy(keep_in_memory=True)
            found = accuracy.compute(predictions=classes, references=prediction.label_ids, environments=names.tolist())
            metrics = {**found, **metrics}
        return metrics


def _class_ids(prediction: EvalPrediction) -> np.ndarray | None:
    """The predicted class of each row, or `None` where this is not single-label classification."""
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    labels = prediction.label_ids
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        return None
    if not isinstance(logits, np.ndarray) or logits.ndim != 2 or logits.shape[1] < 2:
        return None
    return logits.argmax(-1)


def _of_each_environment(
    compute: Callable[[EvalPrediction], dict[str, Any]], prediction: EvalPrediction, names: np.ndarray
) -> dict[str, Any]:
    """The user's own metrics on the rows of each environment, as `<environment>_<metric>`."""
    metrics = {}
    for name in np.unique(names):
        rows = names == name
        part = EvalPrediction(
            predictions=_select(prediction.predictions, rows), label_ids=_select(prediction.label_ids, rows)
        )
        metrics.update({f"{name}_{key}": value for key, value in compute(part).items()})
    return metrics


def _select(values: Any, rows: np.ndarray) -> Any:
    return tuple(_select(v, rows) for v in values) if isinstance(values, tuple) else values[rows]
