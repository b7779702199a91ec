"""The rows of each environment of a dataset, as datasets of their own."""

from __future__ import annotations

from typing import Any

from torch.utils.data import IterableDataset, Subset

from ..environments import column_names, read_environments, rows_by_environment


def environment_parts(dataset: Any, column: str) -> dict[str, Any]:
    """
    The rows of each environment as a dataset of its own, by name. A stream is read once, into memory.

    Raises:
        ValueError: see [`~hf_metairm.environments.read_environments`].
    """
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        return _stream_parts(dataset, column)
    environments = read_environments(dataset, column)
    parts = {}
    for rows, e in zip(*rows_by_environment(environments.ids)):
        name = environments.names[e]
        parts[name] = dataset.select(rows) if hasattr(dataset, "select") else SomeRows(dataset, rows.tolist())
    return parts


def _stream_parts(dataset: Any, column: str) -> dict[str, list[Any]]:
    names = getattr((getattr(dataset, "features", None) or {}).get(column), "names", None)
    parts: dict[str, list[Any]] = {}
    for row in dataset:
        value = row[column]
        parts.setdefault(names[value] if names else str(value), []).append(row)
    return dict(sorted(parts.items()))


class SomeRows(Subset[Any]):
    """Some rows of a dataset, with its columns' names and its whole batches where it gives any."""

    def __init__(self, dataset: Any, indices: list[int]):
        super().__init__(dataset, indices)
        self.column_names = column_names(dataset)

    def __getitems__(self, indices: list[int]) -> Any:
        rows = [self.indices[k] for k in indices]
        if callable(together := getattr(self.dataset, "__getitems__", None)):
            return together(rows)
        return [self.dataset[k] for k in rows]
