"""What a model's classes are called, and where that is written down."""

from __future__ import annotations

import re
from collections.abc import Iterable


CLASS_NAMES = "class_names.json"  # Beside an adapter: what its classes are called, in order.


def is_nameless(labels: Iterable[str]) -> bool:
    """Whether classes are called as transformers calls them where nobody says: `LABEL_0` and so on."""
    return all(re.fullmatch(r"LABEL_\d+", label) for label in labels)
