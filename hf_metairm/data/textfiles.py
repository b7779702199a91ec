"""Text in files as people have them: gzipped or not, UTF-8 or UTF-16, and what is wrong with it in one sentence."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


_MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_HEAD = 4096  # bytes that tell text from something else


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """
    Open a text file; its line ends stay as they are.

    Whether it is gzipped, and whether it is UTF-16 or UTF-32, is read from its first bytes; otherwise it is UTF-8,
    with a byte-order mark or without.

    Raises:
        ValueError: now or while it is read, the file is binary, in another encoding, damaged or cut off.
    """
    try:
        with _open_bytes(path) as raw:
            head = raw.peek(_HEAD)[:_HEAD]
            encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8-sig")
            if encoding == "utf-8-sig" and b"\0" in head:
                raise ValueError(f"{path} is no text but a binary file: export it as CSV, JSON lines or Parquet.")
            with io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
                yield text
    except UnicodeDecodeError as error:
        raise ValueError(_where_not_decoded(path, error.encoding)) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or cut off ({error}): write or fetch it again.") from error


def _open_bytes(path: Path) -> io.BufferedReader | gzip.GzipFile:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if zipped else path.open("rb")


def _where_not_decoded(path: Path, encoding: str) -> str:
    """The line of the first byte that is not in the encoding: Python says where it is in the piece it was reading."""
    encoding = encoding.replace("_", "-").removesuffix("-sig")
    with _open_bytes(path) as raw:
        content = raw.read()
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        if "unexpected end" in error.reason or "truncated" in error.reason:
            return f"{path} is cut off in the middle of a character: write or fetch it again."
        line = content.count(b"\n", 0, error.start) + 1
        return (
            f"{path}, line {line}: the byte 0x{content[error.start]:02X} is not {encoding.upper()}: save the file as "
            "UTF-8."
        )
    return f"{path} is not {encoding.upper()}: save it as UTF-8."
