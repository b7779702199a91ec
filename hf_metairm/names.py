"""Names from data and users as they are shown: on one line, and nothing in them is read as a command."""

from __future__ import annotations

import unicodedata
from typing import Any

from rich.text import Text

from .secrets import without_secrets


def one_line(value: Any) -> str:
    """A name from data or a user on one line, without control characters and secrets."""
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in str(value))
    return " ".join(without_secrets(text).split())


def cell(value: Any) -> Text:
    """A name for a table on the terminal: neither markup nor an emoji's code nor the terminal's own commands."""
    return Text(one_line(value))
