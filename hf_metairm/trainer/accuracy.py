"""Accuracy by environment as an `evaluate.Metric` that needs no Hub."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np

from ..metrics import ACCURACY, over_environments


class EnvironmentAccuracy(evaluate.Metric):
    """
    Accuracy per environment, for whoever has predictions and the names of their environments side by side.

    `compute(predictions=…, references=…, environments=…)` takes class ids and the names of the environments, all of
    shape (rows,), and gives, each between 0 and 1: `accuracy`, `<environment>_accuracy` for each of them,
    `worst_environment_accuracy` and `mean_environment_accuracy` (every environment weighs the same).
    """

    def _info(self) -> evaluate.MetricInfo:
        features = {
            "predictions": datasets.Value("int64"),
            "references": datasets.Value("int64"),
            "environments": datasets.Value("string"),
        }
        return evaluate.MetricInfo(
            description="Accuracy over all rows, in each environment, in the worst, and the mean over environments.",
            citation="",
            inputs_description="Class ids, true class ids and environment names, one of each per row.",
            features=datasets.Features(features),
        )

    def _compute(
        self, predictions: Sequence[int], references: Sequence[int], environments: Sequence[str]
    ) -> dict[str, float]:
        right, names = np.asarray(predictions) == np.asarray(references), np.asarray(environments)
        found = {str(name): {ACCURACY.name: float(right[names == name].mean())} for name in np.unique(names)}
        return {ACCURACY.name: float(right.mean()), **over_environments(found)}
