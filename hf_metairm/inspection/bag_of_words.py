"""How well the words of texts tell their classes: cross-validated softmax regression on which words a text has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from .regression import FOLDS, cross_fitted
from .texts import words_in


MOST_WORDS, WORD_ROWS = 2_000, 5


def cross_validated(texts: Sequence[str], classes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """
    Judge each text by a model that was fitted to others: row i by the one without the rows i ± 5, i ± 10, …

    The model has the 2,000 most frequent words, marks and tags not among them; see [`cross_fitted`].

    Args:
        texts (`Sequence[str]`): in random order.
        classes (`np.ndarray`): integers of shape (n,), 0 … K − 1.

    Returns:
        `tuple[np.ndarray, np.ndarray]`, *optional*: whether each is told rightly, and its negative log-likelihood in
        nats, both of shape (n,); `None` if no word is in 5 texts.
    """
    has = WordsOfTexts(texts, lambda text: {word for word in words_in(text) if word[0].isalnum()})
    if not has.count:
        return None
    told = cross_fitted(has, classes, np.arange(len(texts)) % FOLDS)
    target = torch.from_numpy(classes.astype(np.int64))
    return (told.argmax(-1) == target).numpy(), -told[torch.arange(len(texts)), target].numpy()


class WordsOfTexts:
    """
    Which of the 2,000 most frequent words each text has: a matrix of zeros and ones that sums over its ones.

    Args:
        texts (`Sequence[str]`): n of them.
        words_of (`Callable`): takes a text, and gives the set of its words.
    """

    def __init__(self, texts: Sequence[str], words_of: Callable[[str], set[str]]):
        words = list(map(words_of, texts))
        counts = Counter(word for some in words for word in some)
        frequent = sorted(
            (word for word, n in counts.items() if n >= WORD_ROWS), key=lambda word: (-counts[word], word)
        )
        place = {word: column for column, word in enumerate(frequent[:MOST_WORDS])}
        self.count = len(place)
        cells = sorted((row, place[word]) for row, some in enumerate(words) for word in some & place.keys())
        by_text = torch.tensor(cells, dtype=torch.int64).view(-1, 2)
        by_word = by_text[by_text[:, 1].argsort(stable=True)]
        self._words, self._texts = by_text[:, 1].contiguous(), by_word[:, 0].contiguous()
        self._starts_of_texts = torch.searchsorted(by_text[:, 0].contiguous(), torch.arange(len(texts)))
        self._starts_of_words = torch.searchsorted(by_word[:, 1].contiguous(), torch.arange(self.count))

    def sums_by_row(self, of_columns: Tensor) -> Tensor:
        """X V; see [`Features`]."""
        return embedding_bag(self._words, of_columns, self._starts_of_texts, mode="sum")

    def sums_by_column(self, of_rows: Tensor) -> Tensor:
        """Xᵀ V; see [`Features`]."""
        return embedding_bag(self._texts, of_rows, self._starts_of_words, mode="sum")
