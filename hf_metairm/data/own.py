"""People's own data with environments, split into rows to train on and rows to test on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from ..ordering import listed
from .files import ReadOptions
from .opening import open_splits
from .rows import held_out, taken
from .words import check_columns, encode_labels, read_words, text_column, word_column


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnData:
    """
    Rows with the columns `sentence` (string), `label` (`ClassLabel`, the same in both) and `environment` (string).

    Args:
        train (`datasets.Dataset`): rows of the environments that are trained on.
        test (`datasets.Dataset`): held-out rows, of the unseen environments too.
        name (`str`): what the data are called in the model's card.
        on_hub (`str`, *optional*): their name on the Hub, where they come from there.
        groups (`Sequence`, *optional*): of the rows of `train`; where these are divided, rows with the same value stay
            together. Equal texts do by default.
    """

    train: datasets.Dataset
    test: datasets.Dataset
    name: str
    on_hub: str | None = None
    groups: Sequence[Any] | None = None

    @property
    def together(self) -> Sequence[Any]:
        """For each row of `train` what it shares with the rows that it stays together with."""
        return self.train["sentence"][:] if self.groups is None else self.groups


def load_own(
    name: str,
    config: str | None = None,
    *,
    text_column: str | None,
    label_column: str,
    environment_column: str,
    test_split: str = "test",
    unseen_environments: Sequence[str] = (),
    test_share: float = 0.2,
    seed: int = 0,
    options: ReadOptions = ReadOptions(),  # noqa: B008
    say: Callable[[str], None] = logger.info,
) -> OwnData:
    """
    Load a dataset of the user's: a file, a folder, or a name on the Hub (see [`open_splits`]).

    Rows of `unseen_environments` are tested on and never trained on. Where there is no split `test_split`, a share of
    the other rows is held out to test on as well. Labels have one list of names over both.

    Args:
        name (`str`), config (`str`, *optional*): the dataset.
        text_column (`str`, *optional*), label_column (`str`), environment_column (`str`): its columns; `None` stands
            for `sentence`, or `text` where there is none.
        test_split (`str`, *optional*, defaults to `"test"`): the split to test on.
        unseen_environments (`Sequence[str]`, *optional*): environments as words, such as `["010"]`.
        test_share (`float`, *optional*, defaults to `0.2`): in (0, 1).
        seed (`int`, *optional*, defaults to `0`): of the draw of held-out rows.
        options (`ReadOptions`, *optional*): how files are read.
        say (`Callable`, *optional*): takes a line for each file: how many rows it has.

    Raises:
        ValueError: a column or environment that is not there, rows without a value, or nothing left to train on.
    """
    columns = (text_column, label_column, environment_column)
    splits = read_own(name, config, columns, test_split=test_split, options=options, say=say)
    return divide(splits, name, unseen_environments, test_share, seed)


def read_own(
    name: str,
    config: str | None,
    columns: tuple[str | None, str, str],
    *,
    test_split: str = "test",
    options: ReadOptions = ReadOptions(),  # noqa: B008
    say: Callable[[str], None] = logger.info,
) -> datasets.DatasetDict:
    """
    The first half of [`load_own`]: read the rows, before any are held out.

    Args:
        columns (`tuple[str, str, str]`): of the text, the label and the environment; see [`load_own`].

    Returns:
        `datasets.DatasetDict`: `train`, and `test` where there is such a split, with the columns of [`OwnData`].
    """
    loaded = open_splits(name, config, options=options, say=say)
    first = (
        "train" if "train" in loaded else next(split for split in loaded if split != test_split or len(loaded) == 1)
    )
    used = datasets.DatasetDict(train=loaded[first])
    if test_split in loaded and test_split != first:
        used["test"] = loaded[test_split]
    there = used["train"].column_names
    text = columns[0] or ("text" if "text" in there and "sentence" not in there else "sentence")
    named = (text, *columns[1:])
    for rows in used.values():
        check_columns(rows, text_column=text, label_column=named[1], environment_column=named[2])
    used = datasets.DatasetDict({split: _tidy(rows, named) for split, rows in used.items()})
    used = encode_labels(used, named[1])
    own = {old: new for old, new in zip(named, ("sentence", "label", "environment")) if old != new}
    return used.select_columns(list(named)).rename_columns(own) if own else used


def divide(
    splits: datasets.DatasetDict, name: str, unseen_environments: Sequence[str], test_share: float, seed: int
) -> OwnData:
    """The second half of [`load_own`]: which rows are trained on, and which are tested on."""
    rows = splits["train"]
    if "test" in splits:
        kept, parts = np.arange(len(rows)), [splits["test"]]
    elif 0 < test_share < 1:
        kept, tested = held_out(len(rows), test_share, seed)
        parts = [taken(rows, tested)]
    else:
        raise ValueError(f"test_share must lie between 0 and 1, not {test_share!r}: it is the part that is held out.")
    hidden = _unseen(rows, parts[0], unseen_environments)[kept]
    if hidden.all():
        raise ValueError(
            f"No rows are left to train on: {len(rows):,} row{'s are' if len(rows) > 1 else ' is'} too few."
            if not len(kept)
            else "Every environment is unseen, so no rows are left to train on: leave two or more out of the list."
        )
    if hidden.any():
        parts.append(taken(rows, kept[hidden]))
    path = Path(name).expanduser()
    test = datasets.concatenate_datasets(parts) if len(parts) > 1 else parts[0]
    return OwnData(taken(rows, kept[~hidden]), test, path.name, None if path.exists() else name)


def _tidy(dataset: datasets.Dataset, columns: tuple[str, str, str]) -> datasets.Dataset:
    """The columns by their own names, which messages call them by, texts and environments as strings."""
    text, _, environment = columns
    return word_column(text_column(dataset.with_format(None).select_columns(list(columns)), text), environment)


def _unseen(rows: datasets.Dataset, test: datasets.Dataset, unseen: Sequence[str]) -> np.ndarray:
    """Whether the environment of each row is an unseen one: bool of shape (n,)."""
    codes, names = read_words(rows, "environment")
    known = {*names, *read_words(test, "environment")[1]}
    for environment in unseen:
        if environment not in known:
            raise ValueError(f"No rows of environment {environment!r}; there are {listed(known)}.")
    return np.isin(codes, [code for code, name in enumerate(names) if name in set(unseen)])
