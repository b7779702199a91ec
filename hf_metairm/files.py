"""The one way in which this package writes: a file is there whole or as it was before, also after a kill."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How safetensors and torch say it, whose writers are not Python's.
FULL_IN_WORDS = (
    *(f"os error {number}" for number in FULL),
    "No space left on device",
    "file write failed",
    "iostream error",
    "] . unexpected pos ",
)
ROOM = 2**20  # Bytes: enough for all that is written beside a model.
INCOMPLETE = "_incomplete"  # A leading _ keeps it from what a Trainer publishes of its folder.


class DiskFullError(OSError):
    """There was no room for a file; what was there before is as it was."""


@contextmanager
def replacing(file: str | Path) -> Iterator[Path]:
    """
    A path to write to, in the same folder and with the same suffix, that takes the file's place when the block ends.

    Args:
        file (`str` or `Path`): its folder is made if it does not exist.

    Raises:
        DiskFullError: the sentence says what to do.
    """
    file = Path(file)
    new = file.with_name(f".new.{file.name}")  # What a kill leaves there, the next write takes away.
    with says_if_full(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield new
            to_disk(new)
            os.replace(new, file)
            to_disk(file.parent)
        except BaseException:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise


def write(file: str | Path, content: bytes | str) -> None:
    """Write a file, text as UTF-8 with plain line ends; see [`replacing`]."""
    with replacing(file) as new:
        new.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def filling(folder: str | Path, last: str | None = None) -> Iterator[Path]:
    """
    An empty folder beside another; the files in it take their places there when the block ends, one after the other.
    Where there is no such folder yet, all of them do at once.

    Args:
        folder (`str` or `Path`): is made if it does not exist. Files of the same names are replaced.
        last (`str`, *optional*): the file without which the others mean nothing: it goes first and comes last.

    Raises:
        DiskFullError: the sentence says what to do.
    """
    folder = Path(folder)
    new = folder.with_name(f"{INCOMPLETE}-{folder.name}")
    with says_if_full(folder):
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        try:
            yield new
            tree_to_disk(new)
            if folder.exists():
                if last is not None:
                    (folder / last).unlink(missing_ok=True)
                files = [file for file in new.rglob("*") if file.is_file()]
                for file in sorted(files, key=lambda file: (file.name == last, file)):
                    place = folder / file.relative_to(new)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(file, place)
            else:
                os.replace(new, folder)
            to_disk(folder.parent)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def to_disk(path: Path) -> None:
    """Have a file, or a folder's list of its files, on the disk and not only in memory."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def tree_to_disk(folder: Path) -> None:
    """Have a folder with all that is in it on the disk."""
    for part in [*folder.rglob("*"), folder]:
        to_disk(part)


@contextmanager
def says_if_full(what: str | Path) -> Iterator[None]:
    """
    Raises:
        DiskFullError: in place of whatever a library raises where there is no room.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFullError) or not is_full(error):
            raise
        raise DiskFullError(
            f"The disk is full: {what} could not be written. What was there before is kept; make room and give the "
            "same command again."
        ) from error


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, says that there is no room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(words in str(error) for words in FULL_IN_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def in_one_line(error: BaseException) -> str:
    """What an error says, and where it is the disk's or a cache's how to mend it."""
    text = " ".join(str(error).split())
    if is_full(error) and not isinstance(error, DiskFullError):
        return f"The disk is full ({text}): make room and give the same command again."
    caches = os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface")
    if isinstance(error, OSError) and str(error.filename).startswith(caches):
        return f"{caches} cannot be written to ({error.strerror}): set HF_HOME to a folder of yours."
    return text


def check_room(folder: Path) -> None:
    """
    Write something into a folder and take it away again, before anything takes its time.

    Raises:
        DiskFullError: there is not even room for a megabyte.
        OSError: the folder cannot be written to; the sentence says which.
    """
    try:
        with says_if_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(ROOM))
    except OSError as error:
        if isinstance(error, DiskFullError):
            raise
        raise type(error)(
            f"{folder} cannot be written to ({error.strerror or error}): name another output folder."
        ) from error


def put_aside(file: Path) -> Path:
    """Give a file that cannot be read another name, so that a new one is made and nothing is lost."""
    aside = file.with_name(f"{file.name}.broken")
    os.replace(file, aside)
    return aside
