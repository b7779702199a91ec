"""Stop a process, or fill its disk, at any one of its writes: in a fork, so that a kill is a kill."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch


KILL, FULL = "kill", "full"
BEGIN, HALF = "as it begins", "half way"


class Writes:
    """
    What a process writes below a folder, in order; at one of them something happens.

    A write is a file that is opened for writing, whoever opens it, or a name that is given to a file or folder: of
    Python's calls the interpreter itself reports them, of torch's and safetensors' own writers two functions here.

    Args:
        folder (`Path`): writes elsewhere do not count.
        number (`int`): of the write at which it happens, from 0 on; -1 for none.
        moment (`str`): `BEGIN`, or `HALF`: the file is there with half of its content.
        fault (`str`): `KILL` (this process, by SIGKILL) or `FULL` (the disk).
    """

    def __init__(self, folder: Path, number: int = -1, moment: str = BEGIN, fault: str = KILL):
        self.folder, self.number, self.moment, self.fault = str(folder), number, moment, fault
        self.seen: list[str] = []
        self._half: str | None = None

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
        if self._half is not None:  # The write before this one was to be left half-done.
            half, self._half = self._half, None
            self._happen(half, None, truncate=True)
        self.seen.append(path)
        number = len(self.seen) - 1
        if number == self.number or (self.fault == FULL and number > self.number >= 0):  # A full disk stays full.
            if self.moment == HALF:
                self._half = path
            else:
                self._happen(path, error, truncate=False)

    def _happen(self, path: str, error: Exception | None, truncate: bool) -> None:
        if truncate and os.path.isfile(path):
            os.truncate(path, os.path.getsize(path) // 2)
        if self.fault == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        raise error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


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
        work (`Callable`): what it prints goes into `log`; an exception makes the status 1.
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
    _, code = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(code)
