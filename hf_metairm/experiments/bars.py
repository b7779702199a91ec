"""Progress bars: for people at a terminal, not for files."""

from __future__ import annotations

import sys


def no_bars_in_files() -> None:
    """Silence the progress bars of the Hugging Face libraries where stderr is no terminal."""
    if not sys.stderr.isatty():
        from datasets import disable_progress_bars
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bars()
        disable_progress_bar()
