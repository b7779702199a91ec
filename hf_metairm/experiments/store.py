"""The results of runs in a folder: one line of JSON a run, whole at any time, also after a kill."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..files import INCOMPLETE, write
from .run import Result, Run, key_of


SETTINGS_NAME = "settings.json"


class Store:
    """
    Results in the files `<file>.jsonl` of a folder, see [`Run`].

    A line that cannot be read is named in a warning and moved to `<file>.jsonl.broken` when the next result is
    written; its run counts as not carried out.

    Args:
        folder (`Path`): need not exist.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def results(self, file: str = "runs") -> list[Result]:
        """The results in a file, in the order in which they were written."""
        return [result for _, result in self._lines(file) if result is not None]

    def of(self, runs: Iterable[Run]) -> dict[Run, Result]:
        """The results of those of the runs that are done."""
        runs = list(runs)
        found = {
            key_of(result["settings"]): result
            for file in dict.fromkeys(run.file for run in runs)
            for result in self.results(file)
        }
        return {run: found[run.key] for run in runs if run.key in found}

    def write(self, run: Run, result: Result) -> None:
        """Write a result in place of an earlier one of the same settings; after a kill all is there, or nothing."""
        lines = self._lines(run.file)
        broken = [text for text, found in lines if found is None]
        kept = [text for text, found in lines if found is not None and key_of(found["settings"]) != run.key]
        path = self._path(run.file)
        if broken:
            aside = path.with_name(f"{path.name}.broken")
            before = aside.read_bytes() if aside.is_file() else b""
            write(aside, before + b"".join(text + b"\n" for text in broken))
        write(path, b"".join(text + b"\n" for text in [*kept, json.dumps(result).encode()]))

    def place(self, run: Run, named: bool) -> Path:
        """
        The folder in which a run is carried out: `unfinished/<key>`, or a `named` one for people, `<name>-seed<seed>`.
        Where that one is of other settings it is left alone, and a number is added to the new one.
        """
        if not named:
            return self.folder / "unfinished" / run.key
        number, place = 1, self.folder / f"{run.name}-seed{run.seed}"
        while not has_settings(place, run, or_none=True):
            number += 1
            place = self.folder / f"{run.name}-seed{run.seed}-{number}"
        return place

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        For this process alone.

        Raises:
            OSError: another process carries out runs in the folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BlockingIOError(
                f"Another process is carrying out runs in {self.folder}: wait for it, or give another output folder."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _path(self, file: str) -> Path:
        return self.folder / f"{file}.jsonl"

    def _lines(self, file: str) -> list[tuple[bytes, Result | None]]:
        path = self._path(file)
        texts = path.read_bytes().split(b"\n") if path.is_file() else []
        lines = [(text, _read(text)) for text in texts if text]
        for number, (_, result) in enumerate(lines, 1):
            if result is None:
                warnings.warn(
                    f"Line {number} of {path} cannot be read: it will be put aside in {path.name}.broken, and its run "
                    "counts as not carried out.",
                    stacklevel=3,
                )
        return lines


def _read(text: bytes) -> Result | None:
    """A line as it is written now; in version 0.1 the settings were called `config`, and had the name among them."""
    try:
        result = json.loads(text)
        settings = result.pop("config", None) or result["settings"]
        return {"name": settings.get("row"), "seed": settings["seed"], **result, "settings": settings}
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def has_settings(place: Path, run: Run, or_none: bool = False) -> bool:
    """Whether a folder is of a run with the same settings; with `or_none` also where it is of no run."""
    file = place / SETTINGS_NAME
    if not file.is_file():
        return or_none
    try:
        return bool(json.loads(file.read_bytes()) == run.settings)
    except ValueError:
        warnings.warn(f"{file} cannot be read: what is in its folder is not gone on from.", stacklevel=2)
        return False


def checkpoints(folder: Path) -> list[Path]:
    """What training keeps in a run's folder for going on: its checkpoints, and what was left of one."""
    return [*folder.glob("checkpoint-*"), *folder.glob(INCOMPLETE)]
