"""Which rows are parts of one sentence: SST-2's training set has the phrases of a sentence as rows of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np


WORDS = 4  # A shorter phrase stands in many sentences and says little about any of them.


def sentence_ids(texts: Sequence[str], least: int = WORDS) -> np.ndarray:
    """
    Number the sentences that texts are parts of: a text that is contained in a longer one, word by word, has the
    number of that one, and of the longest where there are several. What is shorter than `least` words is a sentence of
    its own.

    Args:
        texts (`Sequence[str]`): rows, in any order.
        least (`int`, *optional*, defaults to 4): words that a phrase has at least.

    Returns:
        `np.ndarray`: int64 of shape (texts,): the row number of the sentence that is whole.
    """
    words = [tuple(text.lower().split()) for text in texts]
    ids = np.arange(len(texts))
    # Whole sentences by each of their runs of `least` words: what contains a phrase contains its beginning.
    whole: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in sorted((k for k, of_row in enumerate(words) if len(of_row) >= least), key=lambda k: -len(words[k])):
        phrase = f" {' '.join(words[row])} "
        around = (k for k in whole.get(words[row][:least], ()) if phrase in f" {' '.join(words[k])} ")
        ids[row] = found = next(around, row)
        if found == row:
            for start in range(len(words[row]) - least + 1):
                whole[words[row][start : start + least]].append(row)
    return ids
