"""How well the words of texts tell their classes: cross-validated softmax regression on which words a text has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from .texts import words_in


MOST_WORDS, WORD_ROWS = 2_000, 5
FOLDS, STEPS = 5, 100


def cross_validated(texts: Sequence[str], classes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """
    Judge each text by a model that was fitted to others: row i by the one without the rows i ± 5, i ± 10, …

    The model has the 2,000 most frequent words, marks and tags not among them, and the penalty ½‖W‖² beside the sum of
    the negative log-likelihoods.

    Args:
        texts (`Sequence[str]`): in random order.
        classes (`np.ndarray`): integers of shape (n,), 0 … K − 1.

    Returns:
        `tuple[np.ndarray, np.ndarray]`, *optional*: whether each is told rightly, and its negative log-likelihood in
        nats, both of shape (n,); `None` if no word is in 5 texts.
    """
    has = _WordsOfTexts(texts)
    if not has.count:
        return None
    n, k = len(texts), int(classes.max()) + 1
    row, fold = torch.arange(n), torch.arange(n) % FOLDS
    fitted = (fold[:, None] != torch.arange(FOLDS)).float()[..., None]  # (n, folds, 1)
    target = torch.from_numpy(classes.astype(np.int64))
    weight, bias = (torch.zeros(size, FOLDS * k, requires_grad=True) for size in (has.count, 1))
    # The folds' models share nothing, so the sum of their objectives has its minimum where each of them has its own.
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=STEPS,
        history_size=10,
        tolerance_grad=1e-6,
        tolerance_change=1e-8,
        line_search_fn="strong_wolfe",
    )

    def log_likelihood() -> torch.Tensor:
        return (has.sums_by_text(weight) + bias).view(n, FOLDS, k).log_softmax(-1)

    @torch.no_grad()
    def objective() -> torch.Tensor:
        told = log_likelihood()
        slope = told.exp()
        slope[row, :, target] -= 1
        slope = (slope * fitted / n).view(n, -1)
        weight.grad, bias.grad = has.sums_by_word(slope) + weight / n, slope.sum(0, keepdim=True)
        return (weight.square().sum() / 2 - (told[row, :, target] * fitted[..., 0]).sum()) / n

    optimizer.step(objective)
    with torch.no_grad():
        told = log_likelihood()[row, fold]
    return (told.argmax(-1) == target).numpy(), -told[row, target].numpy()


class _WordsOfTexts:
    """Which of the frequent words each text has: a matrix of zeros and ones that sums over its ones, both ways."""

    def __init__(self, texts: Sequence[str]):
        words = [{word for word in words_in(text) if word[0].isalnum()} for text in texts]
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

    def sums_by_text(self, of_words: torch.Tensor) -> torch.Tensor:
        return embedding_bag(self._words, of_words, self._starts_of_texts, mode="sum")

    def sums_by_word(self, of_texts: torch.Tensor) -> torch.Tensor:
        return embedding_bag(self._texts, of_texts, self._starts_of_words, mode="sum")
