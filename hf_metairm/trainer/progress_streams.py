"""What others print while a live table is drawn: whole lines go above it, the frames of their bars nowhere."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text


class WholeLines(io.TextIOBase):
    """
    A stream in the place of a terminal's that passes on whole lines only.

    A bar draws itself anew after each carriage return and ends with a line feed: what arrives is its last frame.

    Args:
        console (`rich.console.Console`): where the lines go.
        stream (`TextIO`): the one that it stands for.
    """

    def __init__(self, console: Console, stream: TextIO):
        self.console, self.rich_proxied_file = console, stream  # The latter is how rich's console finds the terminal.
        self._begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # There it may be written to, too.
        """That of the terminal."""
        return str(getattr(self.rich_proxied_file, "encoding", None) or "utf-8")

    def write(self, text: str) -> int:
        """Pass on the lines that are complete."""
        *lines, self._begun = (self._begun + text).replace("\r\n", "\n").split("\n")
        for line in lines:
            seen = Text.from_ansi(line.rsplit("\r", 1)[-1])
            if seen.plain.strip():
                self.console.print(seen)
        return len(text)

    def fileno(self) -> int:
        """The terminal's."""
        return self.rich_proxied_file.fileno()


@contextmanager
def printing_above(console: Console) -> Iterator[None]:
    """Have what goes to a terminal on stdout and stderr, log messages included, printed above a live table."""
    with ExitStack() as stack:
        streams: list[tuple[TextIO, Any]] = [(sys.stderr, redirect_stderr), (sys.stdout, redirect_stdout)]
        for stream, redirect in streams:
            if stream is not None and stream.isatty():  # What goes to a file belongs there.
                lines = WholeLines(console, stream)
                stack.enter_context(redirect(lines))
                for handler in _handlers(stream):
                    handler.setStream(lines)
                    stack.callback(handler.setStream, stream)
        yield


def _handlers(stream: TextIO) -> list[logging.StreamHandler[Any]]:
    """The handlers of all loggers that write to a stream."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = [h for logger in loggers if isinstance(logger, logging.Logger) for h in logger.handlers]
    return [h for h in dict.fromkeys(handlers) if isinstance(h, logging.StreamHandler) and h.stream is stream]
