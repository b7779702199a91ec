"""Evaluation per environment, as a part of every Trainer of this library."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction, Trainer

from ..metrics import EnvironmentAccuracy


@dataclass(frozen=True)
class EnvironmentResult:
    """
    Accuracy in one environment.

    Args:
        environment (`str`, *optional*): its name; `None` where the rows have no environment column.
        accuracy (`float`): between 0 and 1.
        rows (`int`): how many rows it was measured on.
        dataset (`str`, *optional*): the name of the evaluation dataset, where there is a dictionary of several.
    """

    environment: str | None
    accuracy: float
    rows: int
    dataset: str | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric, by name."""
        return {"accuracy": self.accuracy}

    @property
    def standard_error(self) -> float:
        """The binomial one, √(a(1 − a)/n)."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.rows)


class EnvironmentEvaluation(Trainer):
    """
    The evaluation half of [`EnvironmentTrainer`]: carries the environment of every evaluated row to the metrics.

    The labels that `compute_metrics` and `predict` see stay what they are in a plain Trainer.
    """

    def _set_up_evaluation(self, environment_column: str) -> None:
        self.environment_column = environment_column
        self.environment_names: list[str] = []
        self._evaluated: list[torch.Tensor] = []
        self._found: list[EnvironmentResult] = []
        self._results: list[EnvironmentResult] = []
        self._results_step: int | None = None
        self._own_metrics = self.compute_metrics
        self.compute_metrics = self._metrics_per_environment

    @property
    def results(self) -> list[EnvironmentResult] | None:
        """
        Accuracies of the last `evaluate`; `None` if there was none, or the model has been trained or replaced since.

        An evaluation on the training dataset does not count.
        """
        return self._results if self._results_step == self.state.global_step else None

    @property
    def found(self) -> list[EnvironmentResult]:
        """What the evaluation that just ended, or is about to, has found."""
        return self._found

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """
        `transformers.Trainer.evaluate`, with metrics per environment where the dataset has the environment column.

        A dictionary of datasets is evaluated one by one, as in a plain Trainer; each may hold several environments.
        """
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, dict):
            metrics: dict[str, float] = {}
            results: list[EnvironmentResult] = []
            for name, part in dataset.items():
                key = name if eval_dataset is None else part
                metrics.update(self.evaluate(key, ignore_keys, f"{metric_key_prefix}_{name}"))
                results += [replace(result, dataset=name) for result in self._found]
            self._results, self._results_step = results, self.state.global_step
            return metrics
        self._evaluated, self._found = [], []
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        if dataset is not self.train_dataset:
            self._results, self._results_step = self._found, self.state.global_step
        return metrics

    def _load_best_model(self) -> None:
        super()._load_best_model()
        self._results_step = None

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
            if classes is not None:
                accuracy = float((classes == prediction.label_ids).mean())
                self._found = [EnvironmentResult(None, accuracy, len(classes))]
                if not self._own_metrics:
                    metrics["accuracy"] = accuracy
            return metrics
        names = np.asarray(self.environment_names)[torch.cat(self._evaluated).numpy()]
        if self._own_metrics:
            metrics = {**metrics, **_of_each_environment(self._own_metrics, prediction, names)}
        if classes is not None:
            metric = EnvironmentAccuracy(keep_in_memory=True)
            found = metric.compute(predictions=classes, references=prediction.label_ids, environments=names.tolist())
            right = classes == prediction.label_ids
            self._found = [
                EnvironmentResult(str(name), float(right[names == name].mean()), int((names == name).sum()))
                for name in dict.fromkeys(self.environment_names)
                if (names == name).any()
            ]
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
