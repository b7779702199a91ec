"""What a result says of a trained model: metrics by environment, and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..data import TensorRows
from ..ordering import listed
from ..trainer import EnvironmentTrainer
from ..trainer.guessing import majority_shares


def evaluated(trainer: EnvironmentTrainer) -> dict[str, Any]:
    """
    `test`, by environment the metrics of `Trainer.evaluate` and `majority`, the share of the most frequent class;
    `unseen`, those that it was not trained on; `classes`, how many it tells apart; and `warnings`, if there are any.

    Raises:
        FloatingPointError: the model's loss is no number, so whatever else it gives says nothing.
    """
    trainer.evaluate(metric_key_prefix="test")
    shares = majority_shares(trainer.eval_dataset, trainer.args.environment_column)
    trained_on = set(trainer.environments.names) if trainer.environments else set()
    found = {
        str(part.environment): {**part.metrics, "risk": part.loss, "rows": part.rows} for part in trainer.results or []
    }
    diverged = [name for name, metrics in found.items() if not math.isfinite(metrics["risk"])]
    if diverged:
        raise FloatingPointError(
            f"training diverged: the loss is NaN or infinite in {len(diverged)} of {len(found)} environments "
            f"({listed(diverged)}); try a smaller learning rate"
        )
    for name in found:
        if name in shares:
            found[name]["majority"] = shares[name]
    classes = getattr(getattr(trainer.model, "config", None), "num_labels", None)
    unseen = [name for name in found if name not in trained_on]
    told = {"warnings": trainer.told} if trainer.told else {}
    return {"test": found, "unseen": unseen, "classes": classes, **told}


def of_a_table(
    trainer: EnvironmentTrainer,
    validation: TensorRows,
    test: TensorRows,
    labels: Sequence[str],
    judge: Callable[[np.ndarray], dict[str, dict[str, float]]] | None = None,
) -> dict[str, Any]:
    """
    `test` and `validation` by environment, and `warnings`, for the results of a table's runs.

    Args:
        trainer ([`EnvironmentTrainer`]): with the trained model.
        validation (`TensorRows`), test (`TensorRows`): what it is measured on.
        labels (`Sequence[str]`): names of the classes.
        judge (`Callable`, *optional*): what makes `test` of the test rows' logits; [`by_environment`] by default.
    """
    found = by_environment(trainer, validation)
    return {
        "test": judge(logits_of(trainer, test)) if judge else by_environment(trainer, test),
        "validation": found,
        "warnings": warnings_of(found, len(labels)),
    }


def by_environment(trainer: EnvironmentTrainer, rows: TensorRows) -> dict[str, dict[str, float]]:
    """
    In each environment: `accuracy`; `risk`, the mean cross-entropy in nats; `calibration_error`, the expected
    calibration error over fifteen equal bins of confidence (Guo et al. 2017, arXiv 1706.04599); and `rows`.
    """
    return by_name(logits_of(trainer, rows), rows["labels"].numpy(), rows["environment"])


def logits_of(trainer: EnvironmentTrainer, rows: TensorRows) -> np.ndarray:
    """What the model says of rows: float64 of shape (n, k)."""
    return np.asarray(trainer.predict(rows).predictions, dtype=np.float64)


def by_name(logits: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """The metrics of the rows of each name: see [`by_environment`]. `logits` (n, k), `labels` (n,), `names` (n)."""
    of_row = np.array(names)
    return {str(name): statistics(logits[of_row == name], labels[of_row == name]) for name in np.unique(of_row)}


def statistics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The metrics of one environment: see [`by_environment`]. `logits` (n, k), `labels` (n,)."""
    shifted = logits - logits.max(1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    right = (logits.argmax(1) == labels) & np.isfinite(logits).all(1)  # NaN is no answer
    confidence = np.exp(log_probabilities.max(1))
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [abs((confidence - right)[bins == k].sum()) for k in range(15)]
    return {
        "accuracy": float(right.mean()),
        "risk": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "calibration_error": float(sum(gaps) / len(labels)),
        "rows": len(labels),
    }


def warnings_of(validation: Mapping[str, Mapping[str, float]], classes: int) -> list[str]:
    """What is wrong with a run, in words; the unseen environment is not looked at."""
    found = {name: metrics["accuracy"] for name, metrics in validation.items()}
    chance = 1 / classes
    text = ", ".join(f"{name}: {100 * value:.0f} %" for name, value in found.items())
    if max(found.values()) < 0.8 * chance:
        return [f"mirrored solution: worse than guessing in the training environments ({text}); a smaller α helps"]
    if max(found.values()) < 1.1 * chance:
        return [f"no better than guessing in the training environments ({text})"]
    return []
