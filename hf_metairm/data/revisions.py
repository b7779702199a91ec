"""Reading pairs of a review and its revision: the twin with as few other words as the other sentiment asks for."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .delimited import read_delimited


logger = logging.getLogger(__name__)

SPLITS = {"train": "train", "validation": "dev", "test": "test"}  # as the repository calls them
SENTIMENTS = ("Negative", "Positive")
_BREAKS = re.compile(r"\s*(?:<br\s*/?>\s*)+")
_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Pairs:
    """Reviews with their revisions.

    Args:
        originals (`list[str]`), revisions (`list[str]`): the two texts of each pair.
        labels (`np.ndarray`): int64 of shape (n,), the originals' sentiment: 0 negative, 1 positive. The revision has
            the other one.
        numbers (`np.ndarray`): int64 of shape (n,), what the files call the pairs.
    """

    originals: list[str]
    revisions: list[str]
    labels: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.originals)

    def take(self, rows: np.ndarray) -> Pairs:
        """The pairs of these rows, in this order."""
        originals, revisions = ([texts[row] for row in rows] for texts in (self.originals, self.revisions))
        return Pairs(originals, revisions, self.labels[rows], self.numbers[rows])


def read_pairs(files: dict[str, Path]) -> dict[str, Pairs]:
    """
    Read the pairs of `"train"`, `"validation"` and `"test"`; no review is in two of them.

    Which twin is the original is found in the file of the originals, by the words of its text and its sentiment. A
    pair is left out where that is said of none of its twins or of both, or where both have the same words.

    Raises:
        `ValueError`: a file is damaged, lacks a column, has another sentiment, or no usable pair.
    """
    pairs = {role: _usable(files[role], files[f"{role} originals"]) for role in SPLITS}
    held_out = {_words(text) for role in ("validation", "test") for text in _texts(pairs[role])}
    train = pairs["train"]
    apart = [{_words(a), _words(b)}.isdisjoint(held_out) for a, b in zip(train.originals, train.revisions)]
    return {**pairs, "train": train.take(np.flatnonzero(apart))}


def _texts(pairs: Pairs) -> list[str]:
    return [*pairs.originals, *pairs.revisions]


def _usable(path: Path, originals: Path) -> Pairs:
    known = {(_words(text), sentiment) for sentiment, text in _rows(originals, "Sentiment", "Text")}
    twins: dict[str, list[tuple[str, str]]] = {}
    for sentiment, text, pair in _rows(path, "Sentiment", "Text", "batch_id"):
        twins.setdefault(pair, []).append((sentiment, text))
    found = []
    for pair, rows in twins.items():
        if not pair.isdecimal():
            raise ValueError(f"{path}: batch_id is a number, not {pair!r:.40}.")
        if sorted(sentiment for sentiment, _ in rows) != list(SENTIMENTS):
            raise ValueError(f"{path}: the pair {pair} is not one negative and one positive review.")
        first, second = sorted(rows, key=lambda row: (_words(row[1]), row[0]) not in known)
        words = [(_words(text), sentiment) for sentiment, text in (first, second)]
        if words[0] in known and words[1] not in known and words[0][0] != words[1][0]:
            found.append((first[1], second[1], SENTIMENTS.index(first[0]), int(pair)))
    if not found:
        raise ValueError(f"{path} has no pair of which one review stands in {originals}.")
    if len(found) < len(twins):
        logger.info(
            "%s: %d of %d pairs are left out: it is not plain which twin is the original.",
            path.name,
            len(twins) - len(found),
            len(twins),
        )
    texts, revised, labels, numbers = zip(*found)
    return Pairs(list(texts), list(revised), np.array(labels), np.array(numbers))


def _rows(path: Path, *columns: str) -> list[tuple[str, ...]]:
    """The columns of a TSV file whose fields may stand in quotation marks, without the mark-up of line breaks."""
    table = read_delimited(path, "\t", quoted=True)
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise ValueError(
            f"{path} has the columns {', '.join(table.column_names)}, but {', '.join(missing)} is needed."
        )
    rows = list(zip(*(table[name].to_pylist() for name in columns)))
    for sentiment, *_ in rows:
        if sentiment not in SENTIMENTS:
            raise ValueError(f"{path}: a sentiment is {' or '.join(SENTIMENTS)}, not {sentiment!r:.40}.")
    return [(row[0], _BREAKS.sub(" ", row[1]).strip(), *row[2:]) for row in rows]


def _words(text: str) -> str:
    """Its letters and digits: some copies of a review differ in spaces and quotation marks."""
    return _NO_WORD.sub("", text.casefold())


def find_pairs(folder: Path) -> tuple[dict[str, Path], str, str] | None:
    """Find the six files in `folder` or below it, in a copy of the repository too."""
    files: dict[str, Path] = {}
    for role, split in SPLITS.items():
        pairs = sorted(folder.rglob(f"{split}_paired.tsv"), key=lambda path: (path.parent.name != "paired", path))
        originals = [*sorted(folder.rglob(f"original-{split}.tsv")), *sorted(folder.rglob(f"orig/{split}.tsv"))]
        if not pairs or not originals:
            return None
        files |= {role: pairs[0], f"{role} originals": originals[0]}
    return files, PAIRS[0], PAIRS[1]


PAIRS = ("counterfactually revised IMDb reviews of Kaushik, Hovy & Lipton (2020)", "Apache-2.0")
