"""Labels and environments as words: one reading of a column for every command, whatever its type."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..ordering import sorted_words


MOST_CLASSES = 1000  # a column with more distinct values is a class only if these are shared by rows
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)(\.0+)?")


def read_words(dataset: datasets.Dataset, column: str, *, label: bool = False) -> tuple[np.ndarray, list[str]]:
    """
    Read a column that names something, such as a class or an environment.

    Strings are words as they stand. Integers, whole floats (a column of pandas that had gaps), truth values and dates
    become the word that one writes for them. Of labels that are all whole numbers, `1.0` is `1` in strings, too.

    Args:
        dataset (`datasets.Dataset`): has the column.
        column (`str`): its name.
        label (`bool`, *optional*, defaults to `False`): whether it names classes.

    Returns:
        `tuple[np.ndarray, list[str]]`: int64 of shape (n,) and the words that it indexes: those of a `ClassLabel` in
        its own order, integers by value, other words by the alphabet.

    Raises:
        ValueError: there is no such column, rows have no value in it, or it holds lists, records, fractions or bytes.
    """
    if column not in dataset.column_names:
        raise ValueError(f"There is no column {column!r}; the columns are {', '.join(dataset.column_names)}.")
    values = arrow_column(dataset, column)
    feature = dataset.features[column]
    if isinstance(feature, datasets.ClassLabel):
        codes = values.fill_null(-1).to_numpy().astype(np.int64)
        _refuse_missing(int((codes < 0).sum()), column)
        return codes, list(feature.names)
    if pa.types.is_nested(values.type):
        raise ValueError(f"Column {column!r} holds lists or records; name a column with one value per row.")
    encoded = values.combine_chunks().dictionary_encode()
    distinct, codes = encoded.dictionary, encoded.indices
    words = _as_words(distinct, column)
    blank = pa.array([word is None or not word.strip() for word in words], pa.bool_())
    nowhere = pc.fill_null(pc.take(blank, codes), True) if len(words) else pa.array([True] * len(codes))
    _refuse_missing(int(pc.sum(nowhere).as_py() or 0), column)
    named = [word for word in words if word is not None]  # all of them: no row has another one
    if label and all(whole(word) is not None for word in named):
        named = [str(whole(word)) for word in named]
    names = sorted_words(named)
    place = {word: number for number, word in enumerate(names)}
    positions = np.array([place.get(word, 0) for word in named], np.int64)
    return positions[codes.to_numpy()], names


def check_columns(dataset: datasets.Dataset, **named: str) -> None:
    """
    Refuse columns that are not there, or one for two purposes.

    Args:
        dataset (`datasets.Dataset`): may have them.
        named (`str`): columns by the option that names them, such as `environment_column="site"`.

    Raises:
        ValueError: the sentence names the columns that there are, and the option.
    """
    for option, column in named.items():
        if column not in dataset.column_names:
            raise ValueError(
                f"There is no column {column!r}; the columns are {', '.join(dataset.column_names)}: name yours with "
                f"--{option}."
            )
        other = next((other for other in named if other != option and named[other] == column), None)
        if other is not None:
            raise ValueError(f"{option} and {other} are both {column!r}; name two columns.")


def whole(word: str) -> int | None:
    """The whole number that a word is, as one writes these: `1`, `1.0`, `-3`, but not `01`; `None` for other words."""
    return int(word.split(".")[0]) if _WHOLE.fullmatch(word) else None


def encode_labels(splits: datasets.DatasetDict, column: str) -> datasets.DatasetDict:
    """
    Make a column a `ClassLabel` with one list of names for all splits, so that a number means the same in each.

    Raises:
        ValueError: as [`read_words`], or nearly every row has a value of its own.
    """
    read = {name: read_words(split, column, label=True) for name, split in splits.items()}
    own = [isinstance(split.features[column], datasets.ClassLabel) for split in splits.values()]
    words = chain.from_iterable(names for _, names in read.values())
    names = list(dict.fromkeys(words)) if all(own) else sorted_words(words)
    rows = sum(len(split) for split in splits.values())
    if len(names) > MOST_CLASSES and len(names) > rows / 2:
        raise ValueError(
            f"Column {column!r} has {len(names):,} distinct values in {rows:,} rows, so it is no class label; name "
            "another."
        )
    feature = datasets.ClassLabel(names=names)
    place = {word: number for number, word in enumerate(names)}
    encoded = datasets.DatasetDict()
    for name, split in splits.items():
        codes, known = read[name]
        ids = np.array([place[word] for word in known], np.int64)[codes]
        encoded[name] = replace_column(split, column, pa.array(ids), feature)
    return encoded


def word_column(dataset: datasets.Dataset, column: str) -> datasets.Dataset:
    """The dataset with a column as strings; see [`read_words`]."""
    codes, words = read_words(dataset, column)
    return replace_column(
        dataset, column, pa.array(words, pa.string()).take(pa.array(codes)), datasets.Value("string")
    )


def text_column(dataset: datasets.Dataset, column: str) -> datasets.Dataset:
    """
    The dataset with a column of texts: strings as they are, what names something as [`word_column`] writes it.

    Raises:
        ValueError: rows have no text, or it holds something else than strings, whole numbers, truth values or dates.
    """
    if dataset.features[column] not in (datasets.Value("string"), datasets.Value("large_string")):
        dataset = word_column(dataset, column)
    empty = arrow_column(dataset, column).null_count
    if empty:
        raise ValueError(f"{empty:,} of {len(dataset):,} rows have no text in column {column!r}: drop or fill them.")
    return dataset


def replace_column(dataset: datasets.Dataset, column: str, values: pa.Array, feature: Any) -> datasets.Dataset:
    """The dataset with other values in a column, in the same place."""
    order, new = dataset.column_names, f"{column} (new)"
    replaced = dataset.add_column(new, values, feature=feature).remove_columns([column])
    return replaced.rename_column(new, column).select_columns(order)


def arrow_column(dataset: datasets.Dataset, column: str) -> pa.ChunkedArray:
    """A column's values as they are stored."""
    return dataset.select_columns([column]).with_format("arrow")[:][column]


def as_numbers(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings that are all integers, or all numbers, as these, blank ones as missing; any other column as it is."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    filled = pc.if_else(pc.equal(values, ""), None, values)
    if filled.null_count == len(filled):
        return values
    for kind in (pa.int64(), pa.float64()):
        try:
            return filled.cast(kind)
        except pa.ArrowInvalid:
            continue
    return values


def _refuse_missing(count: int, column: str) -> None:
    if count:
        them = "1 row has" if count == 1 else f"{count:,} rows have"
        raise ValueError(f"{them} no value in column {column!r}; drop or fill them.")


def _as_words(values: pa.Array, column: str) -> list[str | None]:
    """One word for each distinct value."""
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        raise ValueError(f"Column {column!r} holds bytes; name a column of words or numbers.")
    found = values.to_pylist()
    if pa.types.is_floating(values.type):
        fraction = next((value for value in found if value is not None and value == value and value % 1 != 0), None)
        if fraction is not None:
            raise ValueError(f"Column {column!r} holds {fraction!r}: fractions name nothing; name another column.")
        return [None if value is None or value != value else str(int(value)) for value in found]
    return [None if value is None else str(value) for value in found]
