"""How every command fails: one line, exit status 2 for wrong use and 1 for failure."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from hf_metairm.experiments.interrupts import remembered
from hf_metairm.files import in_one_line
from hf_metairm.secrets import without_secrets


WRONG_USE, FAILURE, INTERRUPTED = 2, 1, 130
NOTHING_KEPT = "Interrupted. No file is left half-written: give the command again."
GOING_ON = "Interrupted. What was trained is kept: the same command goes on from there."


def fail(message: object, status: int) -> NoReturn:
    """Say on stderr what is wrong, in one line, and end the command with `status`."""
    typer.echo(f"Error: {without_secrets(' '.join(str(message).split()))}", err=True)
    raise typer.Exit(status)


@contextmanager
def one_line_errors(interrupted: str = NOTHING_KEPT) -> Iterator[None]:
    """
    End the command with one line and no traceback where what was given is refused (status 2), where a file, the
    network or a package that is needed fails (status 1), and on Ctrl-C or SIGTERM (status 130). With
    `HF_METAIRM_TRACEBACK=1` errors keep their traceback.

    Args:
        interrupted (`str`, *optional*): what is said on Ctrl-C: what is kept, and how to go on.
    """
    with remembered():
        try:
            yield
        except (ValueError, OSError, ImportError, MemoryError) as error:
            if os.environ.get("HF_METAIRM_TRACEBACK") == "1":
                raise
            fail(in_one_line(error), WRONG_USE if _is_wrong_use(error) else FAILURE)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # What is said is said: no second Ctrl-C breaks into the end.
            typer.echo(interrupted, err=True)
            raise typer.Exit(INTERRUPTED) from None


def _is_wrong_use(error: Exception) -> bool:
    """A value that is refused, or the name of something that is not there; what the Hub lacks is a failure."""
    ours = not type(error).__module__.startswith("huggingface_hub")
    return ours and isinstance(error, (ValueError, FileNotFoundError, NotADirectoryError, IsADirectoryError))
