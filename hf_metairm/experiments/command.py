"""How a recipe ends: done, refused in one sentence, or interrupted with the way to go on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from accelerate import PartialState


def run_command(job: Callable[[], Any]) -> None:
    """
    Run `job`; print a `ValueError` as one line and exit with status 2, what a file, the network or a missing package
    raises with status 1, and after Ctrl-C say how to go on and exit with status 130. With `HF_METAIRM_TRACEBACK=1`
    errors keep their traceback.
    """
    try:
        job()
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("HF_METAIRM_TRACEBACK") == "1":
            raise
        _say(f"Error: {' '.join(str(error).split())}")
        sys.exit(2 if isinstance(error, ValueError) else 1)
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
