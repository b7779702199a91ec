"""The order of words that name something, such as sites, years or classes."""

from __future__ import annotations

import re
from collections.abc import Iterable


_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")


def sorted_words(words: Iterable[str]) -> list[str]:
    """Distinct words: where all are whole numbers, as one writes these, by value; others by the alphabet."""
    distinct = set(words)
    return sorted(distinct, key=int) if all(map(_WHOLE.fullmatch, distinct)) else sorted(distinct)


def listed(words: Iterable[str], most: int = 10) -> str:
    """Words in a sentence, in their order; of many, the first ones and how many there are."""
    found = sorted_words(words)
    return ", ".join(found) if len(found) <= most else f"{', '.join(found[:most])}, … ({len(found):,} in all)"
