"""Accuracy in every environment, the worst one included, as an `evaluate.Metric` that needs no Hub."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np


_DESCRIPTION = "Accuracy over all rows, in each environment, in the worst of them, and the mean over environments."


class EnvironmentAccuracy(evaluate.Metric):
    """
    Accuracy per environment.

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
            description=_DESCRIPTION,
            citation="",
            inputs_description="Class ids, true class ids and environment names, one of each per row.",
            features=datasets.Features(features),
        )

    def _compute(
        self, predictions: Sequence[int], references: Sequence[int], environments: Sequence[str]
    ) -> dict[str, float]:
        right = np.asarray(predictions) == np.asarray(references)
        names = np.asarray(environments)
        by_environment = {str(name): float(right[names == name].mean()) for name in np.unique(names)}
        return {
            "accuracy": float(right.mean()),
            **{f"{name}_accuracy": value for name, value in by_environment.items()},
            "worst_environment_accuracy": min(by_environment.values()),
            "mean_environment_accuracy": float(np.mean(list(by_environment.values()))),
        }
