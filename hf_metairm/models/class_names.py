"""Whether a model's config says what its classes are called."""

from __future__ import annotations

import re
from collections.abc import Iterable


def is_nameless(labels: Iterable[str]) -> bool:
    """Whether classes are called as transformers calls them where nobody says: `LABEL_0` and so on."""
    return all(re.fullmatch(r"LABEL_\d+", label) for label in labels)
