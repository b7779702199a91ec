"""The labels of a dataset as the class ids of a model: by name where both have names, otherwise by number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import datasets
import numpy as np


def class_ids(dataset: datasets.Dataset, column: str, id2label: dict[int, str]) -> np.ndarray:
    """
    Read a label column as the ids of a model's classes.

    Args:
        dataset (`datasets.Dataset`): has the column: strings, integers, truth values or a `ClassLabel`.
        column (`str`): its name.
        id2label (`dict[int, str]`): the model's classes; names such as `"LABEL_0"` count as none.

    Returns:
        `np.ndarray`: int64 of shape (rows,).

    Raises:
        ValueError: a row without a label, a label of another kind, or one that the model does not know.
    """
    feature = dataset.features[column]
    values = dataset.select_columns([column]).with_format("arrow")[:].column(0).to_pylist()
    nameless = sum(value is None or (isinstance(feature, datasets.ClassLabel) and value < 0) for value in values)
    if nameless:
        raise ValueError(f"{nameless} of {len(values)} rows have no label in the column {column!r}: drop them.")
    distinct = list(dict.fromkeys(values))
    names = feature.names if isinstance(feature, datasets.ClassLabel) and is_nameless(id2label.values()) else distinct
    if len(names) > len(id2label) or (names is not distinct and len(names) != len(id2label)):
        raise ValueError(
            f"The column {column!r} has {len(names)} labels ({_listed(names)}), and the model tells {len(id2label)} "
            "classes apart: evaluate it on the task that it was trained for, or name another column with "
            "--label_column."
        )
    id_of: dict[Any, int] = {}
    for value in distinct:
        if not isinstance(value, (str, int)):
            raise ValueError(
                f"The label column {column!r} holds {value!r}: it must hold strings, integers or a ClassLabel."
            )
        name = feature.names[value] if isinstance(feature, datasets.ClassLabel) else str(value)
        number = value if isinstance(value, int) else int(value) if value.isdecimal() else None
        id_of[value] = _class_id(name, number, id2label, column)
    return np.fromiter((id_of[value] for value in values), dtype=np.int64, count=len(values))


def _class_id(name: str, number: int | None, id2label: dict[int, str], column: str) -> int:
    own_names = {label.casefold(): k for k, label in id2label.items() if not is_nameless([label])}
    if name.casefold() in own_names:
        return own_names[name.casefold()]
    # A number is a name where the model's classes are called by numbers, as those of a CSV with stars from 1 to 5 are.
    has_names = not name.isdecimal() or all(label.isdecimal() for label in own_names)
    if own_names and has_names:
        raise ValueError(
            f"The column {column!r} holds the label {name!r}, which is none of the model's classes "
            f"({', '.join(id2label.values())}): rename the labels, or name another column with --label_column."
        )
    if number is None:
        raise ValueError(
            f"The column {column!r} holds the label {name!r}, but the model's classes have no names: name them in the "
            f"model's order with --labels {','.join(f'NAME{k}' for k in id2label)}, or give the labels as numbers "
            f"from 0 to {len(id2label) - 1}."
        )
    if number not in id2label:
        raise ValueError(
            f"The column {column!r} holds the label {number}, but the model tells {len(id2label)} classes apart "
            f"(0 to {len(id2label) - 1}): renumber the labels, or name another column with --label_column."
        )
    return number


def is_nameless(labels: Iterable[str]) -> bool:
    """Whether classes are called as transformers calls them where nobody says: `LABEL_0` and so on."""
    return all(re.fullmatch(r"LABEL_\d+", label) for label in labels)


def _listed(labels: Iterable[Any]) -> str:
    """Labels in a sentence: integers by size, also as strings, then others by letters; the first ten of them."""
    texts = sorted(map(str, labels), key=lambda text: (not text.isdecimal(), text.zfill(20)))
    return ", ".join(texts[:10]) + ", …" * (len(texts) > 10)
