"""What texts have in common: how they start and end, as it is written, and the words in them."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa


MOST_WORDS = 2_000
WORD_ROWS = 20  # rarer words tell nothing
MOST_CHARACTERS = 60_000_000  # of all texts together; of longer ones, the start and the end are looked at
_TOKEN = re.compile(r"\[\w+\]|<\w+>|\{\w+\}|\w+|[^\w\s]")  # a tag in brackets is one


def text_cues(texts: pa.ChunkedArray) -> Iterator[tuple[str, np.ndarray]]:
    """
    What many texts start with, end in or have, and the rows that do, int64 and each once.

    Starts and ends are in the letters that stand there: up to the next space, and the first or last word, tag or mark
    alone. Words within are in small letters. What the same rows have is named once.

    Args:
        texts (`pa.ChunkedArray`): strings; one that lacks is an empty text.
    """
    most = max(MOST_CHARACTERS // max(len(texts), 1), 200)
    seen: set[bytes] = set()
    for what, words_of in (("starts with", _starts), ("ends in", _ends), ("has", words_in)):
        for word, rows in _rows_of_frequent(texts, most, words_of):
            found = np.frombuffer(rows, np.int32).astype(np.int64)
            if found.tobytes() not in seen:
                seen.add(found.tobytes())
                yield f"{what} {word!r}", found


def _rows_of_frequent(
    texts: pa.ChunkedArray, most: int, words_of: Callable[[str], set[str]]
) -> Iterator[tuple[str, array[int]]]:
    """The most frequent words, and the rows that have them: counted first, so that rare ones take no memory."""
    counts: Counter[str] = Counter()
    for text in shortened(texts, most):
        counts.update(words_of(text))
    frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS]
    rows_of = {word: array("i") for word, count in frequent if count >= WORD_ROWS}
    for row, text in enumerate(shortened(texts, most)):
        for word in words_of(text) & rows_of.keys():
            rows_of[word].append(row)
    yield from rows_of.items()


def shortened(texts: pa.ChunkedArray, most: int) -> Iterator[str]:
    """
    The texts; of those with more than `most` characters, the start and the end.

    Args:
        texts (`pa.ChunkedArray`): strings; one that lacks is an empty text.
        most (`int`): characters of each.
    """
    for chunk in texts.chunks:
        for text in chunk.to_pylist():
            text = text or ""
            yield text if len(text) <= most else f"{text[: most // 2]} {text[-most // 2 :]}"


def _starts(text: str) -> set[str]:
    piece = text.split(maxsplit=1)[:1]
    token = _TOKEN.search(text)
    return {*piece, *([token[0]] if token else [])}


def _ends(text: str) -> set[str]:
    piece = text.rsplit(maxsplit=1)[-1:]
    tokens = _TOKEN.findall(piece[0]) if piece else []
    return {*piece, *tokens[-1:]}


def words_in(text: str) -> set[str]:
    """
    Words in small letters, tags as they stand, and marks.

    Args:
        text (`str`): may be empty.
    """
    return {token if len(token) > 2 and token[0] in "[<{" else token.lower() for token in _TOKEN.findall(text)}


def surface_of(text: str) -> set[str]:
    """
    What a shortcut in a text is mostly made of: its words, tags and marks, and what it starts with and ends in.

    Args:
        text (`str`): may be empty.
    """
    return {
        *words_in(text),
        *(f"starts with {word}" for word in _starts(text)),
        *(f"ends in {word}" for word in _ends(text)),
    }
