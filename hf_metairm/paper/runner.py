"""Carry out jobs side by side, each line written when its run is done, and go on where an earlier call stopped."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from .jobs import Job, Lines


# A full batch's activations are tens of megabytes, which glibc takes from the system and gives back at every step: the
# page faults were a quarter of the time. Read when a worker starts, and by glibc alone.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 * 2**30), "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30)}


@dataclass(frozen=True)
class Machine:
    """
    What the runs have to work with.

    Args:
        source (`str`): where datasets are built from: auto, hub, bundled, or a folder.
        word_vectors (`str`, *optional*): file of word vectors.
        device (`str`, *optional*): `"cpu"` or `"cuda"`; a GPU if there is one, by default.
        side_by_side (`int`, *optional*): runs at a time, among which the cores are shared unless `OMP_NUM_THREADS`
            says how many threads each has; by default one for each core up to four, and one on a GPU.
    """

    source: str = "auto"
    word_vectors: str | None = None
    device: str | None = None
    side_by_side: int | None = None

    @property
    def workers(self) -> int:
        """Runs at a time."""
        if self.side_by_side is not None:
            return self.side_by_side
        if self.device == "cuda" or (self.device is None and shutil.which("nvidia-smi")):
            return 1
        return min(os.cpu_count() or 1, 4)


def carry_out(
    jobs: Sequence[Job], folder: Path, machine: Machine, say: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """
    Carry out the jobs that have no line in `folder` yet, and return the lines of all that have one then.

    A run that was interrupted goes on from its last checkpoint, in `folder/unfinished`. A run that fails is reported,
    and the others are carried out all the same.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was trained is kept.
        OSError: another process is at work on `folder`, or all runs failed.
    """
    lines = Lines(folder)
    with _only_one(folder):
        done = lines.of(jobs)
        open_jobs = {job.key: job for job in jobs if job.key not in done}
        say(f"{len(jobs)} runs: {len(done)} are there, {len(open_jobs)} to do, {machine.workers} at a time.")
        failures = []
        for job, outcome in _results(list(open_jobs.values()), folder, machine):
            if isinstance(outcome, BaseException):
                failures.append(f"{job}: {outcome or type(outcome).__name__}")
                say(f"FAILED {failures[-1]}")
                continue
            lines.append(job.file, outcome)
            shutil.rmtree(_place(folder, job))
            done[job.key] = outcome
            missing = [other for other in open_jobs.values() if other.key not in done]
            say(describe(outcome, len(jobs) - len(missing), len(jobs), time_left(missing, done, machine.workers)))
    if failures and not done:
        raise OSError(f"No run could be carried out; the first: {failures[0]}")
    return list(done.values())


def describe(line: dict[str, Any], number: int, total: int, left: float | None) -> str:
    """A finished run in one line."""
    shown = [name for name in ("p=0.1", "p=0.2", "p=0.9") if name in line["test"]] or list(line["test"])
    accuracies = " / ".join(f"{100 * line['test'][name]['accuracy']:.1f}" for name in shown)
    text = f"[{number}/{total}] {Job('', line['config'])}: {accuracies} in {line['train_seconds']:.0f} s"
    text += "".join(f"; WARNING: {warning}" for warning in line["warnings"])
    return text + (f"; about {_duration(left)} left" if left else "")


def time_left(missing: Sequence[Job], done: dict[str, dict[str, Any]], workers: int) -> float | None:
    """Seconds, from how long finished runs of the same rows took; None while nothing is known."""
    taken: dict[tuple[str, str], list[float]] = {}
    for line in done.values():
        taken.setdefault((line["config"]["table"], line["config"]["row"]), []).append(line["train_seconds"])
    if not taken:
        return None
    overall = fmean(fmean(seconds) for seconds in taken.values())
    expected = [fmean(taken.get((job.config["table"], job.config["row"]), [overall])) for job in missing]
    return sum(expected) / min(workers, max(len(missing), 1))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _place(folder: Path, job: Job) -> Path:
    return folder / "unfinished" / job.key


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "unfinished").mkdir(exist_ok=True)
    with (folder / "unfinished" / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BlockingIOError(
                f"Another process is carrying out runs in {folder}: wait for it, or give another --output."
            ) from error
        yield


# In the parent


def _results(jobs: list[Job], folder: Path, machine: Machine) -> Iterator[tuple[Job, Any]]:
    """Each job with its line, or with the exception that it ended with, as they get done."""
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    steps = context.Queue()
    workers = min(machine.workers, len(jobs))
    threads = max(1, (os.cpu_count() or 1) // workers)
    os.environ.update({**_KEEP_MEMORY, **os.environ})
    pool = ProcessPoolExecutor(workers, context, _start_worker, (steps, threads, os.getpid()))
    waiting = iter(jobs)
    running: dict[Future, Job] = {}
    with _bars() as bars:
        try:
            while True:
                # No more than are running: after Ctrl-C nothing starts that would have to be called back.
                while len(running) < workers and (job := next(waiting, None)):
                    running[pool.submit(_work, job, folder, machine)] = job
                if not running:
                    break
                for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    bars.end(job.key)
                    error = future.exception()
                    if isinstance(error, KeyboardInterrupt):
                        raise error
                    yield job, error or future.result()
                while not steps.empty():
                    key, step = steps.get()
                    bars.advance(key, step, {job.key: job for job in running.values()})
        except KeyboardInterrupt:
            # The workers are out of Ctrl-C's reach; this one signal makes each of them write its checkpoint.
            for process in list(pool._processes.values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Bars:
    """A bar for each run that is under way, where there is a terminal to see it."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def advance(self, key: str, step: int, jobs: dict[str, Job]) -> None:
        if key not in jobs:
            return
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(str(jobs[key]), total=jobs[key].config["steps"])
        self._progress.update(self._tasks[key], completed=step)

    def end(self, key: str) -> None:
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))


@contextmanager
def _bars() -> Iterator[_Bars]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bars(progress)


# In a worker

_steps: Any = None


def _start_worker(steps: Any, threads: int, parent: int) -> None:
    global _steps
    _steps = steps
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


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(job: Job, folder: Path, machine: Machine) -> dict[str, Any]:
    from transformers import TrainerCallback

    from .training import carry_out

    class Tell(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step % 10 == 0:
                _steps.put((job.key, state.global_step))

    result = carry_out(
        job.config,
        _place(folder, job),
        source=machine.source,
        word_vectors=machine.word_vectors,
        device=machine.device,
        callback=Tell(),
    )
    wanted = ("source", "test", "validation", "train_seconds", "resumed", "versions", "hardware", "warnings")
    return {"config": dict(job.config), **{name: result[name] for name in wanted}}
