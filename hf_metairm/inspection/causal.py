"""Invariant causal prediction (Peters, Bühlmann & Meinshausen, 2016) over named columns, by the package `icpy`.

A set S of columns is invariant if the residuals of a linear regression of the label on S have the same mean and
variance in every environment. The set's p-value is the smallest of the tests' p-values, times their number. ICP's own
answer are the columns that are in every accepted set: column j's p-value is the largest p-value of a set without j.
The regression is linear and the label's noise must not depend on the columns; read the result in that light.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations

import datasets
import numpy as np
import pyarrow as pa

from ..data.words import arrow_column, as_numbers, read_words


MOST_COLUMNS = 8
MOST_VALUES = 50


@dataclass(frozen=True)
class CausalColumn:
    """One column's part in the answer.

    Args:
        column (`str`): its name.
        invariant_p_value (`float`): of the hypothesis that the label's relation to this column alone is the same in
            every environment.
        parent_p_value (`float`): ICP's: of the hypothesis that the label does not need this column, because a set
            without it is invariant.
    """

    column: str
    invariant_p_value: float
    parent_p_value: float


def causal_prediction(
    dataset: datasets.Dataset, columns: list[str], *, environment_column: str, label_column: str
) -> list[CausalColumn]:
    """Test which columns keep their relation to the label in every environment.

    Args:
        dataset (`datasets.Dataset`):
            The rows of all environments.
        columns (`list[str]`):
            At most eight columns of numbers, truth values or categories (at most 50 values).
        environment_column (`str`):
            Names each row's environment.
        label_column (`str`):
            The class; each class against the others, with Bonferroni's correction.

    Raises:
        `ImportError`: `icpy` is not installed.
        `ValueError`: too many columns, one that is missing, or one that is neither number nor category.
    """
    try:
        from icpy.ICP import test_plausible_parent_set as set_p_value
    except ImportError as error:
        raise ImportError(
            "Invariant causal prediction needs icpy: install it with pip install 'hf_metairm[icp]'."
        ) from error
    if not 1 <= len(columns) <= MOST_COLUMNS:
        raise ValueError(f"Name 1 to {MOST_COLUMNS} columns: every subset is tested, and {len(columns)} were named.")
    environments, names = read_words(dataset, environment_column)
    if len(names) < 2:
        raise ValueError("Invariant causal prediction compares environments, and there is only one.")
    labels, label_names = read_words(dataset, label_column, label=True)
    groups = [_design(dataset, column) for column in columns]
    targets = [(labels == y).astype(float) for y in range(len(label_names))]
    targets = targets[1:] if len(targets) == 2 else targets

    def p_value(subset: tuple[int, ...]) -> float:
        design = np.hstack([groups[j] for j in subset] or [np.zeros((len(labels), 0))])
        if all(_explained(design, target) for target in targets):
            return 1.0  # no residual at all, in any environment
        return min(1.0, len(targets) * min(float(set_p_value(design, y, environments)) for y in targets))

    everything = range(len(columns))
    p_values = {
        subset: p_value(subset)
        for subset in chain.from_iterable(combinations(everything, size) for size in range(len(columns) + 1))
    }
    return [
        CausalColumn(column, p_values[(j,)], max(p for subset, p in p_values.items() if j not in subset))
        for j, column in enumerate(columns)
    ]


def _explained(design: np.ndarray, target: np.ndarray) -> bool:
    full = np.hstack([design, np.ones((len(target), 1))])
    residual = target - full @ np.linalg.lstsq(full, target, rcond=None)[0]
    return bool(np.abs(residual).max() < 1e-8)


def _design(dataset: datasets.Dataset, column: str) -> np.ndarray:
    """A number as it is; a category as one indicator per value but the first: shape (n, values − 1)."""
    if column not in dataset.column_names:
        raise ValueError(f"There is no column {column!r}; the columns are {', '.join(dataset.column_names)}.")
    values = as_numbers(arrow_column(dataset, column))
    category = isinstance(dataset.features[column], datasets.ClassLabel)
    if not category and (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        numbers: np.ndarray = values.to_numpy(zero_copy_only=False).astype(float)
        if np.isnan(numbers).any():
            raise ValueError(f"Column {column!r} has rows without a value; drop or fill them.")
        return numbers[:, None]
    codes, names = read_words(dataset, column)
    if len(names) > MOST_VALUES:
        raise ValueError(f"Column {column!r} has {len(names):,} values; a category may have {MOST_VALUES} at most.")
    indicators: np.ndarray = codes[:, None] == np.arange(1, len(names))
    return indicators.astype(float)
