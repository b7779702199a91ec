"""
Accuracy in an environment without its draws: the mean over label noise and cue is taken, no sample of them.

A few hundred test sentences whose labels and marks are drawn leave an error of two points. But a model says of a
sentence with either mark what it says, so the expectation is a sum over the four ways that label and mark can fall.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import datasets
import numpy as np

from ..data.config import environment_name


# As test environments of a dataset: each row stands there once with the label's own cue, and once with the other.
BOTH = (0.0, 1.0)


def expectation_of(
    test: datasets.Dataset, cues: Mapping[str, Sequence[str] | None], noise: float, environments: Sequence[str]
) -> Callable[[np.ndarray], dict[str, dict[str, float]]]:
    """
    What makes of a model's logits for the rows of `test` the metrics of [`expected`].

    Args:
        test (`datasets.Dataset`): built with [`BOTH`] as its test environments, and with two classes.
        cues (`Mapping`): the dataset's `CUES`, a single one.
        noise (`float`): the label noise.
        environments (`Sequence[str]`): their names, such as `"p=0.9"`.
    """
    [(column, values)] = cues.items()
    found = test[column][:]
    place: Any = {value: k for k, value in enumerate(values or (0, 1))}
    cue = np.array([place[value] for value in found]) if set(found) <= set(place) else None
    clean = np.array(test["clean_label"][:])
    p = [float(name.removeprefix("p=")) for name in environments]
    return lambda logits: expected(logits, clean, cue, noise, p)


def expected(
    logits: np.ndarray,
    clean_labels: np.ndarray,
    cue: np.ndarray | None,
    noise: float,
    environments: Sequence[float],
) -> dict[str, dict[str, float]]:
    """
    The expected accuracy in environments whose label y is the clean label c flipped with probability η, and whose cue
    is that of y with probability 1 − p.

    With k(m) = 1 where the prediction under the cue of class m is c, and 0 elsewhere, a row's expectation is
    (1 − η) [(1 − p) k(c) + p k(1 − c)] + η [(1 − p) (1 − k(1 − c)) + p (1 − k(c))].

    Args:
        logits (`np.ndarray`): of shape (2 n, 2): the n rows twice, in the same order, with one cue and the other.
        clean_labels (`np.ndarray`): of shape (2 n,), 0 or 1: the clean label of each row.
        cue (`np.ndarray`, *optional*): of shape (2 n,): the class whose cue each row has. Without, there is no cue,
            and both halves are alike.
        noise (`float`): η.
        environments (`Sequence[float]`): the values of p.

    Returns:
        `dict[str, dict[str, float]]`: by environment `accuracy`; `standard_error` of it, from the n rows, whose
        sentences are the sample that is left; and `rows`, n.

    Raises:
        ValueError: the two halves are not the same rows with the two cues.
    """
    n = len(clean_labels) // 2
    first, second = slice(0, n), slice(n, 2 * n)
    c = clean_labels[first]
    if len(clean_labels) != 2 * n or (c != clean_labels[second]).any():
        raise ValueError("The rows must stand there twice, in the same order.")
    right = (logits.argmax(1) == clean_labels) & np.isfinite(logits).all(1)
    if cue is None:
        cue = np.concatenate([c, 1 - c])
    if (cue[first] + cue[second] != 1).any():
        raise ValueError("The rows must stand there once with either cue.")
    k = np.where(cue[first] == c, right[first], right[second])
    other = np.where(cue[first] == c, right[second], right[first])
    found = {}
    for p in environments:
        of_row = (1 - noise) * ((1 - p) * k + p * other) + noise * ((1 - p) * (1 - other) + p * (1 - k))
        found[environment_name(p)] = {
            "accuracy": float(of_row.mean()),
            "standard_error": float(of_row.std(ddof=1) / np.sqrt(n)),
            "rows": n,
        }
    return found
