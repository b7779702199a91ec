"""How a recipe ends: done, refused in one sentence, or interrupted with the way to go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from accelerate import PartialState

from ..files import in_one_line
from ..secrets import without_secrets
from .interrupts import remembered


def run_command(recipe: Callable[[], Any]) -> None:
    """
    Call `recipe`; print as one line a `ValueError` or that a file is not there and exit with status 2, what the
    network, a missing package, a full disk or failed runs raise with status 1, and after Ctrl-C or SIGTERM say how to
    go on and exit with status 130. With `HF_METAIRM_TRACEBACK=1` errors keep their traceback.
    """
    with remembered():
        try:
            recipe()
        except (ValueError, OSError, ImportError, MemoryError) as error:
            if os.environ.get("HF_METAIRM_TRACEBACK") == "1":
                raise
            _say(f"Error: {without_secrets(in_one_line(error))}")
            ours = not type(error).__module__.startswith("huggingface_hub")
            sys.exit(2 if ours and isinstance(error, (ValueError, FileNotFoundError, NotADirectoryError)) else 1)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # What is said is said: no second Ctrl-C breaks into the end.
            _say("Interrupted. What was trained is kept: the same command goes on from there.")
            sys.exit(130)
        finally:
            state = PartialState()
            if state.num_processes > 1:
                state.destroy_process_group()


def _say(line: str) -> None:
    if PartialState().is_main_process:
        print(line, file=sys.stderr, flush=True)
