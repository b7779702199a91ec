"""How long the rows of a dataset are, so that a step can have rows of about the same length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc

from ..environments import column_names, stored_column


def read_lengths(dataset: Any, given: str, tokens: str) -> np.ndarray:
    """
    The lengths of the rows.

    Args:
        dataset (`datasets.Dataset` or a sequence of dictionaries): of rows with one of the two columns.
        given (`str`): the column that holds lengths, where there is one.
        tokens (`str`): else the column whose lists are as long as their rows.

    Returns:
        `np.ndarray`: int64 of shape (rows,).

    Raises:
        ValueError: there is neither column.
    """
    columns = column_names(dataset)
    if given not in columns and tokens not in columns:
        raise ValueError(
            f"train_sampling_strategy='group_by_length' needs to know how long the rows are, and there is neither a "
            f"column {given!r} with their lengths nor one {tokens!r} with their tokens: tokenize first, name "
            'the column with length_column_name, or leave train_sampling_strategy at "random".'
        )
    column = given if given in columns else tokens
    if hasattr(dataset, "select_columns"):
        stored, rows = stored_column(dataset, column)
        lengths: np.ndarray = (stored if column == given else pc.list_value_length(stored)).to_numpy()
        return (lengths if rows is None else lengths[rows]).astype(np.int64)
    values = (dataset[k][column] for k in range(len(dataset)))
    return np.array([v if column == given else len(v) for v in values], dtype=np.int64)
