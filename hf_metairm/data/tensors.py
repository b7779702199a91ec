"""Datasets that are held as tensors, and hand out whole batches by one index operation per column."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np
import torch

from .coloring import channels
from .images import decode_images


class TensorRows(torch.utils.data.Dataset[Any]):
    """Rows held as columns, each a tensor or a list of strings.

    A `DataLoader` asks for a batch by `__getitems__` and gets a dict of batched tensors, so its collator has nothing
    left to stack.

    Args:
        columns (`Mapping[str, torch.Tensor | Sequence[str]]`):
            By name, tensors whose first dimension is the row, or sequences of strings; all of one length.

    Raises:
        `ValueError`: no columns, or columns of different lengths.

    Example:

    ```py
    >>> rows = TensorRows({"labels": torch.tensor([0, 1, 1]), "environment": ["a", "b", "a"]})
    >>> rows.__getitems__([2, 0])
    {'labels': tensor([1, 0]), 'environment': ['a', 'a']}
    ```
    """

    def __init__(self, columns: Mapping[str, torch.Tensor | Sequence[str]]):
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"The columns must have one length, and at least one is needed; given: {lengths}.")
        self._length = next(iter(lengths.values()))
        self._columns: dict[str, torch.Tensor | list[str]] = {
            # Environments are few and rows are many: one string object each, not one per row.
            name: column if isinstance(column, torch.Tensor) else [sys.intern(str(value)) for value in column]
            for name, column in columns.items()
        }

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        shapes = {
            name: tuple(column.shape) if isinstance(column, torch.Tensor) else "strings"
            for name, column in self._columns.items()
        }
        return f"TensorRows({self._length} rows, {shapes})"

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            if key not in self._columns:
                raise KeyError(f"No column {key!r}; there are {', '.join(self._columns)}.")
            return self._columns[key]
        if not -self._length <= key < self._length:
            raise IndexError(f"Row {key} of {self._length}.")
        return {name: column[key] for name, column in self._columns.items()}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, torch.Tensor | list[str]]:
        """One batch: for every column the rows `indices`, in their order."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return {
            name: column.index_select(0, rows)
            if isinstance(column, torch.Tensor)
            else [column[i] for i in rows.tolist()]
            for name, column in self._columns.items()
        }

    def select(self, indices: Sequence[int]) -> TensorRows:
        """The rows `indices` as a dataset of their own."""
        return TensorRows(self.__getitems__(indices))


def image_tensors(
    dataset: datasets.Dataset, *, environments: Sequence[str] | None = None, columns: Sequence[str] = ()
) -> TensorRows:
    """Turn a split of Colored MNIST into tensors, wherever it came from: a builder, a file, or the Hub.

    Args:
        dataset (`datasets.Dataset`):
            With the columns `image`, `label` (a `ClassLabel`), `environment`, and `color` if it is coloured.
        environments (`Sequence[str]`, *optional*):
            Only rows of these environments.
        columns (`Sequence[str]`, *optional*):
            Further columns to keep, of integers or strings.

    Returns:
        [`TensorRows`] with `pixel_values` (float32 in [0, 1], shape (n, k, height, width); one channel per class, or
        a single one without the column `color`), `labels` (int64) and `environment` (strings).

    Raises:
        `ValueError`: a column is missing, or an environment is not in the dataset.
    """
    missing = {"image", "label", "environment", *columns} - set(dataset.column_names)
    if missing:
        raise ValueError(
            f"The dataset lacks {', '.join(sorted(missing))}; its columns are {', '.join(dataset.column_names)}."
        )
    names = np.array(dataset.with_format("arrow")["environment"].to_pylist())
    if environments is not None:
        wanted = [environments] if isinstance(environments, str) else list(environments)
        unknown = sorted(set(wanted) - set(names.tolist()))
        if unknown:
            raise ValueError(f"No rows of {', '.join(unknown)}; there are {', '.join(sorted(set(names.tolist())))}.")
        keep = np.flatnonzero(np.isin(names, wanted))
        dataset, names = dataset.select(keep), names[keep]
    table = dataset.with_format("arrow")[:]
    color = table["color"].to_numpy() if "color" in table.column_names else None
    num_classes = dataset.features["label"].num_classes
    planes = torch.from_numpy(channels(decode_images(table["image"]), color, num_classes))
    result: dict[str, torch.Tensor | list[str]] = {
        "pixel_values": planes.float().div_(255),
        "labels": torch.from_numpy(table["label"].to_numpy().astype(np.int64)),
        "environment": names.tolist(),
    }
    for name in columns:
        values = table[name]
        numeric = str(values.type).startswith(("int", "uint", "float", "double"))
        result[name] = torch.from_numpy(values.to_numpy().copy()) if numeric else values.to_pylist()
    return TensorRows(result)
