"""The order of words that name something, such as sites, years or classes."""

from __future__ import annotations

import re
from collections.abc import Iterable


_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")


def sorted_words(words: Iterable[str]) -> list[str]:
    """Distinct words: where all are whole numbers, as one writes these, by value; others by the alphabet."""
    distinct = set(words)
    return sorted(distinct, key=int) if all(map(_WHOLE.fullmatch, distinct)) else sorted(distinct)
