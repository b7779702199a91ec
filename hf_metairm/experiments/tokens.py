"""Texts as tokens: all of them at once, or, where that would take minutes, those that are shown."""

from __future__ import annotations

from typing import Any

import datasets

from .encoder_outputs import key_of_tokenizer


class Tokenize:
    """
    A transform of `datasets`: rows with the tokens of `sentence` in its place.

    It holds the tokenizer and nothing else: `datasets` names what comes out by a pickle of it.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer

    def __call__(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Columns of some rows; a selection without `sentence` is left as it is."""
        texts = rows.pop("sentence", None)
        return rows if texts is None else {**rows, **self.tokenizer(texts, truncation=True)}


def tokenized(dataset: datasets.Dataset, tokenizer: Any) -> datasets.Dataset:
    """Rows with the tokens of their `sentence`, cut at the tokenizer's `model_max_length`; kept by `datasets`."""
    # Left to itself, `datasets` would name the outcome by a pickle of the function, with all that it reaches.
    key = key_of_tokenizer(tokenizer, tokenizer.model_max_length)
    return dataset.map(
        lambda rows: tokenizer(rows["sentence"], truncation=True),
        batched=True,
        desc="Tokenizing",
        new_fingerprint=f"{dataset._fingerprint}{key}"[:64],
    )
