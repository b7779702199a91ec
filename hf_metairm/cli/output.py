"""What the commands share in how they print."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer


def print_json(found: Any) -> None:
    """What `--json` prints on stdout."""
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False))


def no_bars_in_files() -> None:
    """Silence the progress bars of the Hugging Face libraries where stderr is no terminal."""
    if not sys.stderr.isatty():
        from datasets import disable_progress_bars
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bars()
        disable_progress_bar()
