"""What somebody would get who knows the classes of a dataset and looks at no row."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..environments import column_names, read_environments


def class_shares(dataset: Any, environment_column: str) -> dict[str | None, np.ndarray]:
    """
    How often each class is there, as shares, in each environment of a dataset; under `None` where it names none, and
    nothing at all where a row has not one class.
    """
    columns = column_names(dataset) if hasattr(dataset, "column_names") else []
    label = next((c for c in ("labels", "label", "label_ids") if c in columns), None)
    if label is None:
        return {}
    try:
        labels = read_environments(dataset, label)  # Classes are read as environments are.
    except ValueError:
        return {}
    names: tuple[str | None, ...] = (None,)
    ids, classes = labels.ids, len(labels.names)
    if environment_column in columns:
        environments = read_environments(dataset, environment_column)
        # All environments are counted at once: a mask for each of a thousand is more than ten million rows have.
        names, ids = environments.names, environments.ids * classes + ids
    counts = np.bincount(ids, minlength=len(names) * classes).reshape(len(names), classes)
    return {name: of_one / of_one.sum() for name, of_one in zip(names, counts)}


def majority_shares(dataset: Any, environment_column: str) -> dict[str | None, float]:
    """The share of the most frequent class in each environment: the accuracy of always naming it."""
    return {name: float(shares.max()) for name, shares in class_shares(dataset, environment_column).items()}


def risks_of_constants(dataset: Any, environment_column: str) -> dict[str | None, float]:
    """The least cross-entropy, in nats, of one answer for all rows of an environment: the entropy of its labels."""
    found = class_shares(dataset, environment_column)
    return {name: float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum()) for name, shares in found.items()}
