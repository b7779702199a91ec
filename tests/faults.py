"""What a kill at any one of a process's writes leaves, and a disk that is full there; and forks to try both in."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch


BEGIN, HALF = "as it begins", "half way"


class Writes:
    """
    What a process writes below a folder, in order; what a kill at each of them would leave, or a disk that is full.

    A write is a file that is opened for writing, whoever opens it, or a name that is given to a file or folder: of
    Python's calls the interpreter itself reports them, of torch's and safetensors' own writers two functions here.

    Args:
        folder (`Path`): writes elsewhere do not count.
        left (`Path`, *optional*): gets a copy of the folder at every write, under its number, as it begins and half
            way: what is on the disk there is what SIGKILL leaves.
        full_from (`int`, *optional*): from this write on the disk is full.
    """

    def __init__(self, folder: Path, left: Path | None = None, full_from: int | None = None):
        self.folder, self.left, self.full_from = str(folder), left, full_from
        self.seen: list[str] = []

    def begin(self) -> None:
        """From here on; for the rest of the process."""
        sys.addaudithook(self._audit)
        serialize, save = safetensors.torch.serialize_file, torch.save

        def serialize_file(tensors: Any, filename: Any, *args: Any, **kwargs: Any) -> None:
            with self._native(
                filename, safetensors.SafetensorError("I/O error: No space left on device (os error 28)")
            ):
                serialize(tensors, filename, *args, **kwargs)

        def torch_save(value: Any, f: Any, *args: Any, **kwargs: Any) -> None:
            if not isinstance(f, (str, os.PathLike)):
                return save(value, f, *args, **kwargs)
            with self._native(f, RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")):
                save(value, f, *args, **kwargs)

        safetensors.torch.serialize_file, torch.save = serialize_file, torch_save

    def _audit(self, event: str, args: tuple) -> None:
        if event == "open" and isinstance(args[0], (str, bytes)):
            writes = any(c in args[1] for c in "wax+") if args[1] else args[2] & (os.O_WRONLY | os.O_RDWR)
            if writes:
                self._write(os.fsdecode(args[0]))
        elif event in ("os.rename", "os.replace"):
            self._write(os.fsdecode(args[0]))

    @contextlib.contextmanager
    def _native(self, file: Any, error: Exception):
        self._write(os.fspath(file), error)
        yield

    def _write(self, path: str, error: Exception | None = None) -> None:
        if not os.path.abspath(path).startswith(self.folder) or path.endswith(".lock"):
            return
        number = len(self.seen)
        if self.full_from is not None and number >= self.full_from:
            raise error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if self.left is not None:
            if self.seen and os.path.isfile(self.seen[-1]):  # A name is given all at once.
                half = self._copy(number - 1, HALF) / os.path.relpath(self.seen[-1], self.folder)
                os.truncate(half, half.stat().st_size // 2)
            self._copy(number, BEGIN)
        self.seen.append(path)

    def _copy(self, number: int, moment: str) -> Path:
        copy = self.left / f"{number:03} {moment}"
        if os.path.isdir(self.folder):
            return shutil.copytree(self.folder, copy)
        copy.mkdir(parents=True)
        return copy


def signals(number: int, times: int) -> None:
    """Send this process a signal; more than once, from beside, as of an impatient finger."""
    os.kill(os.getpid(), number)
    for k in range(1, times):
        threading.Timer(0.002 * k, os.kill, (os.getpid(), number)).start()


@contextlib.contextmanager
def quick_forks():
    """While open, what is there now is not looked through by a child's garbage collector, and so not copied."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def in_a_fork(work: Callable[[], Any], log: Path | None = None) -> int:
    """
    Call `work` in a child process and return how it ended: its exit status, or minus the signal that killed it.

    Args:
        work (`Callable`), log (`Path`, *optional*): see [`forked`].
    """
    _, code = os.waitpid(forked(work, log), 0)
    return os.waitstatus_to_exitcode(code)


def forked(work: Callable[[], Any], log: Path | None = None) -> int:
    """
    Call `work` in a child process, and return its number at once.

    Args:
        work (`Callable`): what it prints goes into `log`; an exception makes the exit status 1.
        log (`Path`, *optional*): nowhere by default.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with open(log or os.devnull, "w", buffering=1) as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                sys.stdout = sys.stderr = said
                torch.set_num_threads(1)
                try:
                    work()
                    status = 0
                except SystemExit as left:
                    status = int(left.code or 0)
                except BaseException:
                    import traceback

                    traceback.print_exc(file=said)
        finally:
            os._exit(status)
    return child
