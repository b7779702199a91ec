"""Evaluation of each environment as a dataset of its own, as a part of every Trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from transformers import EvalPrediction, Trainer
from transformers.trainer_utils import EvalLoopOutput

from ..deprecation import FormerAttribute
from ..environments import has_environments, read_environments, rows_by_environment
from ..metrics import LOSS, over_environments
from .environment_rows import SomeRows, environment_parts
from .predictions import Recorder, WithAccuracy, arrays, class_ids, take


@dataclass(frozen=True)
class EnvironmentResult:
    """
    How a model does in one environment.

    Args:
        environment (`str`, *optional*): its name; `None` where the rows have no environment column.
        rows (`int`): how many rows were evaluated.
        loss (`float`, *optional*): the mean loss over them.
        metrics (`dict`): what `compute_metrics` returned for them, and `accuracy` where the task is single-label
            classification.
        dataset (`str`, *optional*): the name of the evaluation dataset, where there is a dictionary of several.
    """

    environment: str | None
    rows: int
    loss: float | None
    metrics: dict[str, Any]
    dataset: str | None = None

    accuracy = FormerAttribute(
        "hf_metairm.trainer.EnvironmentResult.accuracy", lambda found: found.metrics["accuracy"]
    )

    @property
    def numbers(self) -> dict[str, float]:
        """The metrics that are numbers, or the loss where there is none."""
        found = {k: float(v) for k, v in self.metrics.items() if isinstance(v, Real) and not isinstance(v, bool)}
        return found or ({} if self.loss is None else {LOSS.name: self.loss})


class EnvironmentEvaluation(Trainer):
    """
    The evaluation half of [`EnvironmentTrainer`]: an evaluation dataset with the environment column is evaluated
    environment by environment, each through the ordinary evaluation loop, so every row passes the model once.
    """

    args: Any
    eval_dataset: Any
    _found: Sequence[EnvironmentResult] = ()
    _results: Sequence[EnvironmentResult] = ()
    _results_step: int | None = None
    _parts: dict[str, Any] | None = None
    _awaits_rows = False
    default_metric = True
    """Whether accuracy is computed where the task is single-label classification."""
    _classes_wanted: tuple[int | None] | None = None

    @property
    def results(self) -> list[EnvironmentResult] | None:
        """
        Results of the last `evaluate`; `None` if there was none, or the model has been trained or replaced since.

        An evaluation on the training dataset does not count.
        """
        return list(self._results) if self._results_step == self.state.global_step else None

    @property
    def found(self) -> list[EnvironmentResult]:
        """What the evaluation that just ended, or is about to, has found."""
        return list(self._found)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """
        `transformers.Trainer.evaluate`, with the loss and the metrics of each environment where the dataset has the
        environment column.

        A dictionary of datasets is evaluated one by one, as in a plain Trainer; each may hold several environments.
        """
        dataset: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, dict):
            metrics: dict[str, float] = {}
            results: list[EnvironmentResult] = []
            for name, part in dataset.items():
                key = name if eval_dataset is None else part
                metrics.update(self.evaluate(key, ignore_keys, f"{metric_key_prefix}_{name}"))
                results += [replace(result, dataset=name) for result in self._found]
            self._results, self._results_step = results, self.state.global_step
            return metrics
        rows: Any = self.eval_dataset[dataset] if isinstance(dataset, str) else dataset
        self._parts, self._awaits_rows = None, True
        try:
            with self._default_metric(drop_others=True):
                metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        finally:
            self._parts, self._awaits_rows = None, False
        if rows is not self.train_dataset:
            self._results, self._results_step = self._found, self.state.global_step
        return metrics

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """The evaluation `DataLoader`; where `evaluate` asks for it, the rows are divided by environment."""
        if self._awaits_rows:
            # Only here are they as the model takes them: a Trainer class may prepare those that `evaluate` is given.
            rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
            self._parts = self._parts_of(self.eval_dataset[rows] if isinstance(rows, str) else rows)
            self._awaits_rows = False
        return super().get_eval_dataloader(eval_dataset)

    def predict(self, test_dataset: Any, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test") -> Any:
        """
        `transformers.Trainer.predict`: predictions in the order of the rows. Metrics of each environment are added
        where there is one prediction for each row.
        """
        with self._default_metric():
            output = super().predict(test_dataset, ignore_keys, metric_key_prefix)
            known = has_environments(test_dataset, self.args.environment_column) and hasattr(test_dataset, "__len__")
            if known and self.compute_metrics is not None and not self.args.batch_eval_metrics:
                found = self._metrics_of_rows(test_dataset, output)
                named = {f"{metric_key_prefix}_{k}": v for k, v in over_environments(found).items()}
                return output._replace(metrics={**named, **(output.metrics or {})})
        return output

    def _metrics_of_rows(self, dataset: Any, output: Any) -> dict[str, dict[str, Any]]:
        """`compute_metrics` on the predictions for each environment's rows; nothing if they are not one a row."""
        columns = [*arrays(output.predictions), *arrays(output.label_ids)]
        if not columns or any(not isinstance(c, np.ndarray) or len(c) != len(dataset) for c in columns):
            return {}
        environments = read_environments(dataset, self.args.environment_column)
        assert self.compute_metrics is not None
        found = {}
        for rows, e in zip(*rows_by_environment(environments.ids)):
            part = EvalPrediction(take(output.predictions, rows), take(output.label_ids, rows))
            found[environments.names[e]] = dict(self.compute_metrics(part))
        return found

    def _load_best_model(self) -> None:
        super()._load_best_model()
        self._results_step = None

    def _parts_of(self, dataset: Any) -> dict[str, Any] | None:
        column = self.args.environment_column
        return environment_parts(dataset, column) if has_environments(dataset, column) else None

    def metric_names(self) -> set[str]:
        """
        The names that an evaluation's metrics will have, from one of two rows of one environment. Nothing is logged.
        A stream is left alone: it has none.
        """
        several = self.eval_dataset if isinstance(self.eval_dataset, dict) else {"": self.eval_dataset}
        names: set[str] = set()
        callbacks, self.callback_handler.callbacks = self.callback_handler.callbacks, []
        found = self._found
        try:
            for name, dataset in several.items():
                prefix = f"eval_{name}" if name else "eval"
                names |= self._metric_names_of(dataset, prefix)
        finally:
            self.callback_handler.callbacks, self._found = callbacks, found
        return names

    def _metric_names_of(self, dataset: Any, prefix: str) -> set[str]:
        if not hasattr(dataset, "__len__"):
            return set()
        parts = self._parts_of(dataset) or {}
        first = next(iter(parts.values()), dataset)
        rows = range(min(2, len(first)))
        few = first.select(rows) if hasattr(first, "select") else SomeRows(first, list(rows))
        with self._default_metric(drop_others=True):
            alone = True if self.compute_metrics is None else None
            output = self.evaluation_loop(self._loader_of(few), "Evaluation", alone, None, prefix)
        result = self._result(None, output, prefix)
        metrics = {**result.metrics, **({LOSS.name: 0.0} if result.loss is not None else {})}
        keys = {**metrics, **over_environments(dict.fromkeys(parts, metrics))}
        return {f"{prefix}_{key}" for key in keys}

    # One loop for each environment

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """
        `transformers.Trainer.evaluation_loop`, once for each environment where `evaluate` found some.

        The overall loss is the mean over rows; the other overall metrics are those of all environments' predictions
        together. With `batch_eval_metrics`, whose function keeps the predictions to itself, all rows pass once more
        for them.
        """
        options = (description, prediction_loss_only, ignore_keys, metric_key_prefix)
        if self._parts is None:
            output = super().evaluation_loop(dataloader, *options)
            if description == "Evaluation":
                self._found = [self._result(None, output, metric_key_prefix)]
            return output
        parts, self._parts = self._parts, None  # An evaluation within this one is an ordinary one.
        overall = self.compute_metrics
        recorder = None
        if overall is not None and not self.args.batch_eval_metrics:
            self.compute_metrics = recorder = Recorder(overall)
        outputs: dict[str, EvalLoopOutput] = {}
        try:
            for name, rows in parts.items():
                outputs[name] = super().evaluation_loop(self._loader_of(rows), *options)
        finally:
            self.compute_metrics = overall
        self._found = [self._result(name, output, metric_key_prefix) for name, output in outputs.items()]
        of_all: dict[str, Any] = {}
        if recorder is not None and recorder.predictions:
            of_all = recorder.joint()
        elif overall is not None and self.args.batch_eval_metrics:
            plain = super().evaluation_loop(dataloader, *options)
            of_all = self._result(None, plain, metric_key_prefix).metrics
        metrics = _prefixed(self._joint_metrics(of_all), metric_key_prefix)
        if hasattr(self, "model_preparation_time"):
            metrics[f"{metric_key_prefix}_model_preparation_time"] = self.model_preparation_time
        rows_seen = sum(result.rows for result in self._found)
        nothing: Any = None
        return EvalLoopOutput(nothing, nothing, metrics=metrics, num_samples=rows_seen)

    def _loader_of(self, rows: Any) -> DataLoader[Any]:
        """A DataLoader of one environment's rows, of which nothing is kept after it was used."""
        # With persistent workers the Trainer would give the first environment's loader for all of them.
        getattr(self, "_eval_dataloaders", {}).pop("eval", None)
        before = len(self.accelerator._dataloaders)
        loader = self.get_eval_dataloader(rows)
        del self.accelerator._dataloaders[before:]
        getattr(self, "_eval_dataloaders", {}).pop("eval", None)
        return loader

    def _result(self, name: str | None, output: Any, prefix: str) -> EnvironmentResult:
        metrics = {key.removeprefix(f"{prefix}_"): value for key, value in output.metrics.items()}
        metrics.pop("model_preparation_time", None)
        return EnvironmentResult(name, output.num_samples, metrics.pop(LOSS.name, None), metrics)

    def _joint_metrics(self, of_all: dict[str, Any]) -> dict[str, Any]:
        """Each environment's loss and metrics, the worst and the mean; then the loss and the metrics over all rows."""
        found = {
            str(r.environment): {**({LOSS.name: r.loss} if r.loss is not None else {}), **r.metrics}
            for r in self._found
        }
        rows = sum(r.rows for r in self._found)
        losses = [r.loss * r.rows for r in self._found if r.loss is not None]
        if rows and len(losses) == len(self._found):
            of_all = {**of_all, LOSS.name: sum(losses) / rows}
        return {**over_environments(found, taken=of_all), **of_all}

    # The metric that every single-label classification has

    @contextmanager
    def _default_metric(self, drop_others: bool = False) -> Iterator[None]:
        """
        Have accuracy computed, beside what `compute_metrics` of the user returns; with `drop_others`, keep no
        predictions where nothing else would look at them.
        """
        own = self.compute_metrics
        if self.default_metric and not self.args.prediction_loss_only and not self.args.batch_eval_metrics:
            classes = getattr(getattr(self.model, "config", None), "num_labels", None)
            self.compute_metrics = WithAccuracy(own, classes)
            self._classes_wanted = (classes,) if own is None and drop_others else None
        try:
            yield
        finally:
            self.compute_metrics, self._classes_wanted = own, None

    def prediction_step(self, *args: Any, **kwargs: Any) -> Any:
        """
        `transformers.Trainer.prediction_step`. Where accuracy is the only metric and this is no classification, the
        predictions are not kept: those of a language model are large.
        """
        loss, logits, labels = super().prediction_step(*args, **kwargs)
        if self._classes_wanted is not None and class_ids(logits, labels, *self._classes_wanted) is None:
            return loss, None, None
        return loss, logits, labels


def _prefixed(metrics: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}_{key}": value for key, value in metrics.items()}
