"""What an environment is: a column that names each row's environment, read once, and batches balanced over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Environments:
    """
    The environments of one dataset.

    Args:
        names (`tuple[str, ...]`): in the order of a `ClassLabel`, else sorted.
        ids (`np.ndarray`): int64 of shape (rows,), the position of each row's environment in `names`.
        name_of (`dict`): from the value as it stands in the column to the name.
    """

    names: tuple[str, ...]
    ids: np.ndarray
    name_of: dict[Any, str]

    @property
    def sizes(self) -> dict[str, int]:
        """Rows in each environment, by name."""
        return dict(zip(self.names, np.bincount(self.ids, minlength=len(self.names)).tolist()))


def column_names(dataset: Any) -> list[str]:
    """The columns of a dataset, or the keys of its first row where it does not list any."""
    names = getattr(dataset, "column_names", None)
    if names is not None:
        return list(names)
    first = dataset[0] if len(dataset) else {}
    return list(first) if isinstance(first, Mapping) else []


def read_environments(dataset: Any, column: str = "environment") -> Environments:
    """
    Read the environment column of a dataset: strings, integers or a `ClassLabel`.

    Args:
        dataset (`datasets.Dataset`, `TensorRows`, or any sequence of dictionaries): has a length and the column.
        column (`str`, *optional*, defaults to `"environment"`): its name.

    Raises:
        ValueError: the column is missing, has nulls, or holds something else than names.
    """
    if not hasattr(dataset, "__len__"):
        raise ValueError(
            "Environment-balanced batches need a dataset with a length: load it without streaming=True, or save the "
            "part that you want to train on first."
        )
    if column not in column_names(dataset):
        raise ValueError(
            f"The dataset has no column {column!r} (its columns: {', '.join(column_names(dataset))}): name the one "
            "that says which environment a row is from with environment_column=."
        )
    values, labels = _column_values(dataset, column)
    missing = sum(value is None for value in values)
    if missing:
        raise ValueError(
            f"{missing} of {len(values)} rows have no value in the environment column {column!r}: drop them "
            f"(dataset.filter(lambda row: row[{column!r}] is not None)) or give them an environment of their own."
        )
    strange = next((v for v in values if not isinstance(v, (str, int, np.integer)) or isinstance(v, bool)), None)
    if strange is not None:
        raise ValueError(
            f"The environment column {column!r} holds {strange!r}, a {type(strange).__name__}: it must hold strings, "
            "integers or a ClassLabel."
        )
    distinct = sorted(set(values))
    if labels is not None:
        name_of = {value: labels[value] for value in distinct}
    else:
        name_of = {value: str(value) for value in distinct}
    position = {value: k for k, value in enumerate(distinct)}
    ids = np.fromiter((position[v] for v in values), dtype=np.int64, count=len(values))
    return Environments(tuple(name_of[v] for v in distinct), ids, name_of)


def _column_values(dataset: Any, column: str) -> tuple[list[Any], list[str] | None]:
    """The column as Python values, and its names if it is a `ClassLabel`."""
    if hasattr(dataset, "select_columns"):
        values = dataset.select_columns([column]).with_format("arrow")[:].column(0).to_pylist()
        return values, getattr(dataset.features[column], "names", None)
    if hasattr(dataset, "column_names"):
        values = dataset[column]
    else:
        values = [dataset[k][column] for k in range(len(dataset))]
    return values.tolist() if hasattr(values, "tolist") else list(values), None


class EnvironmentSampler(Sampler[int]):
    """
    Indices of rows, such that every `rows_per_block` in turn form a block with equally many rows of each environment.

    Give it to a `DataLoader` with `batch_size=rows_per_block`. Over several processes Accelerate deals whole blocks
    out, so this sampler is the same on every one of them. An epoch shows every row of the largest environment once
    (the last step is filled up from a new shuffle of it, or dropped with `drop_last`) and reshuffles the smaller ones
    as often as that takes. Which rows make up a step depends on how many they are, not on how many blocks they come
    in: 2 processes with 16 rows see what one with 32 sees.

    Args:
        environment_ids (`Sequence[int]` or array): the environment of each row.
        rows_per_block (`int`): rows in one block, over all environments in it.
        blocks_per_step (`int`, *optional*, defaults to 1): blocks in one optimizer step: processes times gradient
            accumulation steps. All of them hold the same environments.
        environments_per_batch (`int`, *optional*): how many environments to draw anew for each step; all if `None`.
            An epoch is then as many steps longer as it takes to show as many rows.
        seed (`int`, *optional*, defaults to 0): with the epoch, decides everything.
        drop_last (`bool`, *optional*, defaults to `False`): leave out a last step that is not full.

    Raises:
        ValueError: a block that cannot be shared evenly, or an environment with fewer rows than its share of a step.
    """

    def __init__(
        self,
        environment_ids: Sequence[int] | np.ndarray,
        rows_per_block: int,
        blocks_per_step: int = 1,
        environments_per_batch: int | None = None,
        seed: int = 0,
        drop_last: bool = False,
        names: Sequence[str] | None = None,
    ):
        ids = np.asarray(environment_ids)
        self.rows_of = [np.flatnonzero(ids == e) for e in np.unique(ids)]
        total = len(self.rows_of)
        names = [str(e) for e in np.unique(ids)] if names is None else names
        self.per_batch = total if environments_per_batch is None else environments_per_batch
        if not 1 <= self.per_batch <= total:
            raise ValueError(
                f"environments_per_batch={environments_per_batch} of {total} environments cannot be drawn: use a "
                f"number from 2 to {total}, or None for all."
            )
        if rows_per_block % self.per_batch:
            lower = max(rows_per_block // self.per_batch, 1) * self.per_batch
            raise ValueError(
                f"A batch of {rows_per_block} rows cannot be shared evenly among {self.per_batch} environments: set "
                f"per_device_train_batch_size to a multiple of {self.per_batch}, such as {lower}."
            )
        self.rows_per_block = rows_per_block
        self.blocks_per_step = blocks_per_step
        self.share = rows_per_block // self.per_batch
        for name, rows in zip(names, self.rows_of):
            needed = self.share * blocks_per_step
            if len(rows) < needed:
                raise ValueError(
                    f"Environment {name!r} has {len(rows)} rows, fewer than its share of {needed} in each step: use a "
                    "smaller batch, or join it to another environment."
                )
        steps = max(map(len, self.rows_of)) * total / (self.per_batch * self.share * blocks_per_step)
        self.steps = max(1, math.floor(steps) if drop_last else math.ceil(steps))
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps * self.blocks_per_step * self.rows_per_block

    def __iter__(self) -> Iterator[int]:
        total = len(self.rows_of)
        draws = np.random.default_rng([self.seed, self.epoch])
        streams = [_shuffled(rows, [self.seed, self.epoch, 1 + e]) for e, rows in enumerate(self.rows_of)]
        for _ in range(self.steps):
            chosen = list(range(total))
            if self.per_batch < total:
                chosen = sorted(draws.choice(total, self.per_batch, replace=False))
            for _ in range(self.blocks_per_step):
                for e in chosen:
                    yield from (next(streams[e]) for _ in range(self.share))


def _shuffled(rows: np.ndarray, seed: list[int]) -> Iterator[int]:
    """The rows in random order, and again in another, without end."""
    generator = np.random.default_rng(seed)
    while True:
        yield from generator.permutation(rows).tolist()


class EnvironmentCollator:
    """
    A collator that carries the environment column past another one, as int64 ids of shape (rows,).

    Rows that come as one dictionary of batched tensors (from a dataset with `__getitems__`) are taken as they are.

    Args:
        collator (`Callable`): makes a batch of rows without the environment column.
        column (`str`): the environment column.
        id_of (`Mapping`): from the value in the column to the id.
        columns (`Sequence[str]`, *optional*): the columns to keep of a ready batch; all if `None`.
    """

    def __init__(
        self,
        collator: Callable[[list], Any],
        column: str,
        id_of: Mapping[Any, int],
        columns: Sequence[str] | None = None,
    ):
        self.collator = collator
        self.column = column
        self.id_of = id_of
        self.columns = columns

    def __call__(self, features: list | Mapping[str, Any]) -> Any:
        """Collate rows (dictionaries), or take a dictionary of batched tensors, and add the environment ids."""
        if isinstance(features, Mapping):
            values = features[self.column]
            batch = {
                k: v
                for k, v in features.items()
                if k != self.column and (self.columns is None or k in self.columns) and isinstance(v, torch.Tensor)
            }
        else:
            values = [row[self.column] for row in features]
            batch = self.collator([{k: v for k, v in row.items() if k != self.column} for row in features])
        values = values.tolist() if hasattr(values, "tolist") else values
        batch[self.column] = torch.tensor([self.id_of[int(v) if hasattr(v, "item") else v] for v in values])
        return batch


def split_by_environment(batch: Mapping[str, Any], ids: torch.Tensor) -> dict[int, dict[str, Any]]:
    """
    The rows of each environment of a batch, as batches of their own; everything that has a row is split. Rows that
    stand together, as [`EnvironmentSampler`] lets them, are not copied.
    """
    parts = {}
    for e in ids.unique().tolist():
        rows = (ids == e).nonzero().squeeze(1)
        first, last = int(rows[0]), int(rows[-1])
        together = last - first + 1 == len(rows)
        parts[e] = {
            k: (v[first : last + 1] if together else v.index_select(0, rows))
            if isinstance(v, torch.Tensor) and v.dim() and len(v) == len(ids)
            else v
            for k, v in batch.items()
        }
    return parts
