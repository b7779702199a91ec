"""The labels of a dataset as the class ids of a model: by name where both have names, otherwise by number."""

from __future__ import annotations

import datasets
import numpy as np

from ..data.words import read_words, whole
from ..models.class_names import is_nameless
from ..ordering import listed


def class_ids(dataset: datasets.Dataset, column: str, id2label: dict[int, str]) -> np.ndarray:
    """
    Read a label column as the ids of a model's classes. Labels are the words that [`read_words`] finds; `1.0` is `1`.

    Args:
        dataset (`datasets.Dataset`): has the column: strings, integers, truth values or a `ClassLabel`.
        column (`str`): its name.
        id2label (`dict[int, str]`): the model's classes; names such as `"LABEL_0"` count as none.

    Returns:
        `np.ndarray`: int64 of shape (rows,).

    Raises:
        ValueError: a row without a label, a label of another kind, or one that the model does not know.
    """
    codes, words = read_words(dataset, column)
    used = np.unique(codes).tolist()
    in_order = isinstance(dataset.features[column], datasets.ClassLabel)
    names = words if in_order and is_nameless(id2label.values()) else [words[code] for code in used]
    if len(names) > len(id2label) or (names is words and in_order and len(names) != len(id2label)):
        raise ValueError(
            f"The column {column!r} has {len(names)} labels ({listed(names)}), and the model tells {len(id2label)} "
            "classes apart: evaluate it on the task that it was trained for, or name another column with "
            "--label_column."
        )
    own_names = {_plain(label): k for k, label in id2label.items() if not is_nameless([label])}
    id_of = np.zeros(len(words), np.int64)
    for code in used:
        number = code if in_order else whole(words[code])
        id_of[code] = _class_id(words[code], number, id2label, own_names, column)
    by_number = not in_order and any(_plain(words[code]) not in own_names for code in used)
    if by_number and 0 not in id_of[used]:
        raise ValueError(
            f"The column {column!r} holds {listed(words)}, and the model's classes are not called so: whether 0 or 1 "
            f"is the first of them cannot be told. Name them in the model's order with {_asked_for(id2label)}."
        )
    ids: np.ndarray = id_of[codes]
    return ids


def _class_id(word: str, number: int | None, id2label: dict[int, str], own_names: dict[str, int], column: str) -> int:
    if _plain(word) in own_names:
        return own_names[_plain(word)]
    # A number is a name where the model's classes are called by numbers, as those of a CSV with stars from 1 to 5 are.
    has_names = whole(word) is None or all(whole(name) is not None for name in own_names)
    if own_names and has_names:
        raise ValueError(
            f"The column {column!r} holds the label {word!r}, which is none of the model's classes "
            f"({listed(id2label.values())}): rename the labels, or name another column with --label_column."
        )
    if number is None:
        raise ValueError(
            f"The column {column!r} holds the label {word!r}, but the model's classes have no names: name them in the "
            f"model's order with {_asked_for(id2label)}, or give the labels as numbers "
            f"from 0 to {len(id2label) - 1}."
        )
    if number not in id2label:
        raise ValueError(
            f"The column {column!r} holds the label {number}, but the model tells {len(id2label)} classes apart "
            f"(0 to {len(id2label) - 1}): renumber the labels, or name another column with --label_column."
        )
    return number


def _asked_for(id2label: dict[int, str]) -> str:
    return f"--labels {','.join(f'NAME{k}' for k in id2label)}"


def _plain(word: str) -> str:
    """A name however it is written: in small letters or capitals, a whole number as `1` or as `1.0`."""
    return word.casefold() if whole(word) is None else str(whole(word))
