"""What an environment is: a column that names each row's environment, read once, and batches balanced over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from .deprecation import former_names
from .ordering import sorted_words


@dataclass(frozen=True)
class Environments:
    """
    The environments of one dataset.

    Args:
        names (`tuple[str, ...]`): in the order of a `ClassLabel`; else whole numbers by value, words by the alphabet.
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
    if hasattr(dataset, "__len__"):
        first = dataset[0] if len(dataset) else {}
    else:
        first = next(iter(dataset), {})
    return list(first) if isinstance(first, Mapping) else []


def has_environments(dataset: Any, column: str) -> bool:
    """Whether a dataset names its rows' environments."""
    return dataset is not None and column in column_names(dataset)


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
    values, codes = _distinct_values(dataset, column)
    labels = getattr(dataset.features[column], "names", None) if hasattr(dataset, "select_columns") else None
    rows = dict(zip(values, np.bincount(codes, minlength=len(values)).tolist()))
    missing = sum(count for value, count in rows.items() if value is None or (labels is not None and value < 0))
    if missing:
        raise ValueError(
            f"{missing} of {len(codes)} rows have no value in the environment column {column!r}: drop them "
            f"(dataset.filter(lambda row: row[{column!r}] is not None)) or give them an environment of their own."
        )
    name_of = {
        value: labels[value] if labels is not None else str(value) for value, count in rows.items() if count > 0
    }
    names = [labels[value] for value in sorted(name_of)] if labels is not None else sorted_words(name_of.values())
    place = {name: k for k, name in enumerate(names)}
    position = np.array([place.get(name_of.get(value, ""), 0) for value in values], dtype=np.int64)
    return Environments(tuple(names), position[codes], name_of)


def stored_column(dataset: Any, column: str) -> tuple[Any, np.ndarray | None]:
    """
    A column of a `datasets.Dataset` as it is stored, memory-mapped where the dataset is, and the numbers of the rows
    that the dataset has of it (all where `None`). Asked for the column itself, a selection gathers it row by row.
    """
    chosen = dataset._indices
    return dataset.data.column(column), None if chosen is None else chosen.column(0).to_numpy()


def _distinct_values(dataset: Any, column: str) -> tuple[list[Any], np.ndarray]:
    """
    The distinct values of a column, and for each row the position of its own among them. No row of a
    `datasets.Dataset` becomes a Python object: those of ten million would take a gigabyte.
    """
    count = len(dataset)
    if not hasattr(dataset, "select_columns"):
        columns = hasattr(dataset, "column_names")
        values = dataset[column] if columns else (dataset[k][column] for k in range(count))
        place: dict[Any, int] = {}
        named = (_name_or_none(value, column) for value in (values.tolist() if hasattr(values, "tolist") else values))
        codes = np.fromiter((place.setdefault(value, len(place)) for value in named), np.int64, count)
        return list(place), codes
    stored, rows = stored_column(dataset, column)
    try:
        pieces = stored.dictionary_encode("encode").chunks
    except NotImplementedError:  # Lists or records.
        for value in stored.drop_null().slice(0, 1).to_pylist():
            _name_or_none(value, column)
        raise
    codes = np.concatenate([np.zeros(0, np.int32), *(piece.indices.to_numpy() for piece in pieces)])
    codes = codes if rows is None else codes[rows]
    return [_name_or_none(v, column) for v in pieces[0].dictionary.to_pylist()] if pieces else [], codes


def _name_or_none(value: Any, column: str) -> Any:
    """What names an environment, or `None`; anything else is refused."""
    if value is None or (isinstance(value, (str, int, np.integer)) and not isinstance(value, bool)):
        return value
    raise ValueError(
        f"The environment column {column!r} holds {value!r}, a {type(value).__name__}: it must hold strings, "
        "integers or a ClassLabel."
    )


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
        names (`Sequence[str]`, *optional*): of the environments, for messages.
        lengths (`Sequence[int]` or array, *optional*): of the rows. A step then has rows of about the same length, so
            that little is padded: those that are next to each other in length among [`UNITS_IN_A_POOL`] steps' rows.

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
        lengths: Sequence[int] | np.ndarray | None = None,
    ):
        self.rows_of, found = rows_by_environment(environment_ids)
        total = len(self.rows_of)
        names = [str(e) for e in found] if names is None else names
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
        self.lengths = None if lengths is None else np.asarray(lengths)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps * self.blocks_per_step * self.rows_per_block

    def __iter__(self) -> Iterator[int]:
        total = len(self.rows_of)
        draws = np.random.default_rng([self.seed, self.epoch])
        streams = [_shuffled(rows, [self.seed, self.epoch, 1 + e]) for e, rows in enumerate(self.rows_of)]
        if self.lengths is not None:
            unit, seed = self.share * self.blocks_per_step, [self.seed, self.epoch, 0]
            streams = [_by_length(rows, self.lengths, unit, self.steps, seed) for rows in streams]
        for _ in range(self.steps):
            chosen = list(range(total))
            if self.per_batch < total:
                chosen = sorted(draws.choice(total, self.per_batch, replace=False))
            for _ in range(self.blocks_per_step):
                for e in chosen:
                    yield from (next(streams[e]) for _ in range(self.share))


def rows_by_environment(environment_ids: Sequence[int] | np.ndarray) -> tuple[list[np.ndarray], list[int]]:
    """The rows of each environment, in their order, and the environments' ids: one sort, however many there are."""
    ids = np.asarray(environment_ids)
    if ids.size:  # Numbers of 16 bits are sorted in a tenth of the time.
        ids = ids.astype(np.result_type(np.min_scalar_type(ids.min()), np.min_scalar_type(ids.max())))
    order = np.argsort(ids, kind="stable")
    found, starts = np.unique(ids[order], return_index=True)
    return np.split(order, starts[1:]), found.tolist()


def _shuffled(rows: np.ndarray, seed: list[int]) -> Iterator[int]:
    """The rows in random order, and again in another, without end."""
    generator = np.random.default_rng(seed)
    while True:
        yield from map(int, generator.permutation(rows))  # Not as a list: each environment keeps its own alive.


UNITS_IN_A_POOL = 50  # As in the grouping by length of transformers


def _by_length(rows: Iterator[int], lengths: np.ndarray, unit: int, units: int, seed: list[int]) -> Iterator[int]:
    """
    The same rows in units of some that are about equally long, `units` of them. With the same seed the long units of
    all environments come in the same steps.
    """
    for k, start in enumerate(range(0, units, UNITS_IN_A_POOL)):
        size = min(UNITS_IN_A_POOL, units - start)
        pool = np.fromiter(rows, dtype=np.int64, count=size * unit)
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        yield from np.random.default_rng([*seed, k]).permutation(pool.reshape(size, unit)).ravel().tolist()


class EnvironmentCollator:
    """
    A collator that is called once for each environment, on that environment's rows alone: `{environment: inputs}`.

    Whatever the collator makes of some rows (flattened pairs, packed sequences, lists), it makes of one environment's.
    Rows that come as one dictionary of batched columns (from a dataset with `__getitems__`) are taken as they are;
    their tensors are sliced, not copied, where an environment's rows stand together.

    Args:
        collator (`Callable`): makes inputs of rows without the environment column.
        column (`str`): the environment column.
        name_of (`Mapping`): from the value in the column to the environment's name.
        columns (`Sequence[str]`, *optional*): the columns to keep of ready batches; all if `None`.
    """

    def __init__(
        self,
        collator: Callable[[list[Any]], Any],
        column: str,
        name_of: Mapping[Any, str],
        columns: Sequence[str] | None = None,
    ):
        self.collator = collator
        self.column = column
        self.name_of = name_of
        self.columns = columns

    def __call__(self, features: list[Any] | Mapping[str, Any]) -> dict[str, Any]:
        """Collate rows (dictionaries), or take a dictionary of batched columns."""
        if isinstance(features, Mapping):
            return self._of_columns(features)
        rows_of: dict[str, list[Any]] = {}
        for row in features:
            rest = {k: v for k, v in row.items() if k != self.column}
            rows_of.setdefault(self._name(row[self.column]), []).append(rest)
        return {name: self._collated(name, rows) for name, rows in rows_of.items()}

    def _collated(self, name: str, rows: list[Any]) -> Any:
        try:
            return self.collator(rows)
        except Exception as error:
            raise ValueError(
                f"The data collator failed on {len(rows)} rows of environment {name!r} "
                f"({type(error).__name__}: {' '.join(str(error).split())[:300]}). It is given one environment's rows "
                "at a time: mend those rows, or the collator."
            ) from error

    def _of_columns(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        values = columns[self.column]
        names = [self._name(v) for v in (values.tolist() if hasattr(values, "tolist") else values)]
        places: dict[str, list[int]] = {}
        for k, name in enumerate(names):
            places.setdefault(name, []).append(k)
        kept = {
            k: v
            for k, v in columns.items()
            if k != self.column and (self.columns is None or k in self.columns) and isinstance(v, torch.Tensor)
        }
        return {name: {k: _rows(v, rows) for k, v in kept.items()} for name, rows in places.items()}

    def _name(self, value: Any) -> str:
        return self.name_of[value.item() if hasattr(value, "item") else value]


class CollatorWithoutColumn:
    """A collator that does not see one column, the environment's: what a plain evaluation has."""

    def __init__(self, collator: Callable[[list[Any]], Any], column: str, columns: Sequence[str] | None = None):
        self.collator = collator
        self.column = column
        self.columns = columns

    def __call__(self, features: list[Any] | Mapping[str, Any]) -> Any:
        """Collate rows (dictionaries), or take a dictionary of batched columns."""
        if isinstance(features, Mapping):
            return {
                k: v
                for k, v in features.items()
                if k != self.column and (self.columns is None or k in self.columns) and isinstance(v, torch.Tensor)
            }
        if any(isinstance(row, Mapping) and self.column in row for row in features):
            features = [{k: v for k, v in row.items() if k != self.column} for row in features]
        return self.collator(features)


def _rows(values: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """Some rows of a tensor: a slice of it where they stand together."""
    if rows[-1] - rows[0] + 1 == len(rows):
        return values[rows[0] : rows[-1] + 1]
    return values[torch.tensor(rows)]


__getattr__ = former_names(__name__)
