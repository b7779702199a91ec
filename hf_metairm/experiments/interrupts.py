"""
Ctrl-C and SIGTERM, remembered.

Python raises `KeyboardInterrupt` wherever it is, also in a destructor or a callback of the garbage collector, where it
is printed and forgotten. So the signal is noted as well, and looked for between one run and the next.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


_asked = False


def check_interrupted() -> None:
    """
    Raises:
        KeyboardInterrupt: a signal came while [`remembered`] was open, whatever became of its exception.
    """
    if _asked:
        raise KeyboardInterrupt


def take_over(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """
    Have `handler` called on SIGINT and SIGTERM, and return what was called before. One that is ignored, as Ctrl-C is
    in a command that a shell started in the background, stays so.
    """
    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}


@contextmanager
def remembered() -> Iterator[None]:
    """
    While open, SIGINT and SIGTERM raise `KeyboardInterrupt` and are noted for [`check_interrupted`].
    """
    global _asked
    _asked = False
    before = take_over(_note)
    try:
        yield
    finally:
        _asked = False
        for number, handler in before.items():
            if signal.getsignal(number) is _note:  # Else somebody wants no more of it.
                signal.signal(number, handler)


def _note(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt
