"""Texts that are tokenized when they are shown, where all of them at once would take minutes."""

from __future__ import annotations

from typing import Any


class Tokenize:
    """
    A transform of `datasets`: rows with the tokens of `sentence` in its place.

    It holds the tokenizer and nothing else: `datasets` names what comes out by a pickle of it.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer

    def __call__(self, rows: dict[str, list]) -> dict[str, list]:
        """Columns of some rows; a selection without `sentence` is left as it is."""
        texts = rows.pop("sentence", None)
        return rows if texts is None else {**rows, **self.tokenizer(texts, truncation=True)}
