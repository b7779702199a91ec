"""Worker processes that carry out runs side by side. One that dies takes its run with it and no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from ..secrets import without_secrets
from .interrupts import check_interrupted
from .run import Result, Run


Work = Callable[[Run, Path, Callable[[int], None]], Result]
# A full batch's activations are tens of megabytes, which glibc takes from the system and gives back at every step: the
# page faults were a quarter of the time. Read when a worker starts, and by glibc alone.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 * 2**30), "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30)}


@dataclass(frozen=True)
class Failure:
    """
    A run that ended without a result.

    Args:
        reason (`str`): in one line.
    """

    reason: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """What an exception says; with `HF_METAIRM_TRACEBACK=1` where it was raised, too."""
        if os.environ.get("HF_METAIRM_TRACEBACK") == "1":
            return cls("".join(traceback.format_exception(error)))
        kind = "" if isinstance(error, (ValueError, OSError)) and str(error) else f"{type(error).__name__}: "
        return cls(without_secrets(" ".join(f"{kind}{error}".split())))


def side_by_side(places: dict[Run, Path], work: Work, workers: int) -> Iterator[tuple[Run, Result | Failure]]:
    """
    Each run with its result or its failure, as they are done.

    Args:
        places (`dict[Run, Path]`): the runs with their folders.
        work (`Callable`): see [`carry_out`].
        workers (`int`): how many at a time. They share the cores, unless `OMP_NUM_THREADS` says how many threads each
            has.
    """
    waiting = iter(places.items())
    workers = min(workers, len(places))
    pool = [_Worker(work, max(1, (os.cpu_count() or 1) // workers)) for _ in range(workers)]
    try:
        with _Bars() as bars:
            while True:
                check_interrupted()
                for worker in pool:
                    if worker.run is None and (following := next(waiting, None)):
                        worker.start(*following)
                busy: dict[Any, _Worker] = {worker.pipe: worker for worker in pool if worker.run is not None}
                if not busy:
                    break
                for pipe in wait(list(busy), timeout=0.5):
                    worker = busy[pipe]
                    run, said = worker.run, worker.hear()
                    assert run is not None
                    if isinstance(said, int):
                        bars.show(run, said)
                        continue
                    bars.end(run)
                    worker.run = None
                    if worker.process.exitcode is not None:
                        pool[pool.index(worker)] = _Worker(work, worker.threads)
                    yield run, said
    except BaseException:
        # The workers are out of Ctrl-C's reach; this one signal makes each of them write its checkpoint.
        _stop(pool)
        raise
    finally:
        for worker in pool:
            worker.pipe.close()
        try:
            for worker in pool:
                worker.process.join()
        except KeyboardInterrupt:
            _stop(pool)  # The second one: at once.
            raise


def _stop(pool: list[_Worker]) -> None:
    for worker in pool:
        worker.process.terminate()


class _Worker:
    """A worker process as the parent sees it."""

    def __init__(self, work: Work, threads: int):
        os.environ.update({**_KEEP_MEMORY, **os.environ})
        context = multiprocessing.get_context("spawn")
        self.run: Run | None = None
        self.threads = threads
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, threads, os.getpid()))
        self.process.start()
        theirs.close()  # So that the pipe ends when the worker does.

    def start(self, run: Run, place: Path) -> None:
        self.run = run
        with suppress(OSError):  # If it is dead already, `hear` will say so.
            self.pipe.send((run, place))

    def hear(self) -> int | Result | Failure:
        """The number of steps taken, a result, or why there is none."""
        try:
            said: int | Result | Failure = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            if code >= 0:
                return Failure(f"its process ended with exit status {code}")
            hint = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
            return Failure(f"its process was killed by {signal.Signals(-code).name}{hint}")
        return said


class _Bars(Progress):
    """A bar for each run that is under way, where there is a terminal to see it."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        super().__init__(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._of: dict[Run, TaskID] = {}

    def show(self, run: Run, step: int) -> None:
        if run not in self._of:
            self._of[run] = self.add_task(str(run), total=run.settings.get("steps"))
        self.update(self._of[run], completed=step)

    def end(self, run: Run) -> None:
        if run in self._of:
            self.remove_task(self._of.pop(run))


# In a worker


def _serve(pipe: Connection, work: Work, threads: int, parent: int) -> None:
    os.setpgrp()  # A terminal's Ctrl-C is for the parent, which decides what happens next.
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()

    import datasets
    import torch
    import transformers

    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    while True:
        try:
            run, place = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(work(run, place, pipe.send))
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except Exception as error:
            pipe.send(Failure.of(error))


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
