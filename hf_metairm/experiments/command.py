"""How a recipe ends: done, refused in one sentence, or interrupted with the way to go on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from accelerate import PartialState


def run_command(recipe: Callable[[], Any]) -> None:
    """
    Call `recipe`; print as one line a `ValueError` or that a file is not there and exit with status 2, what the
    network, a missing package or failed runs raise with status 1, and after Ctrl-C say how to go on and exit with
    status 130. With `HF_METAIRM_TRACEBACK=1` errors keep their traceback.
    """
    try:
        recipe()
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("HF_METAIRM_TRACEBACK") == "1":
            raise
        _say(f"Error: {' '.join(str(error).split())}")
        ours = not type(error).__module__.startswith("huggingface_hub")
        sys.exit(2 if ours and isinstance(error, (ValueError, FileNotFoundError)) else 1)
    except KeyboardInterrupt:
        _say("Interrupted. What was trained is kept: the same command goes on from there.")
        sys.exit(130)
    finally:
        state = PartialState()
        if state.num_processes > 1:
            state.destroy_process_group()


def _say(line: str) -> None:
    if PartialState().is_main_process:
        print(line, file=sys.stderr, flush=True)
