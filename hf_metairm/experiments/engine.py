"""Carry out runs: what is there is kept, what was interrupted goes on, what fails is named and the others go on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from ..files import check_room
from .interrupts import check_interrupted
from .run import Result, Run
from .store import Store, checkpoints
from .workers import Failure, Work, side_by_side


class RunsFailedError(ChildProcessError):
    """Some runs failed; the others were carried out all the same."""


@dataclass
class Outcome:
    """
    What came of some runs.

    Args:
        results (`list[dict]`): of those that are done, in the order of the runs.
        failed (`dict[Run, str]`): the others, with the reason.
    """

    results: list[Result]
    failed: dict[Run, str]

    def check(self) -> None:
        """
        Raises:
            RunsFailedError: a run failed; the message names each with its reason.
        """
        if self.failed:
            count = len(self.results) + len(self.failed)
            reasons = "; ".join(f"{run}: {reason}" for run, reason in self.failed.items())
            raise RunsFailedError(
                f"{len(self.failed)} of {count} runs failed, the same command does them again. {reasons}"
            )


def carry_out(
    runs: Sequence[Run],
    store: Store,
    work: Work,
    *,
    workers: int | None = None,
    keep_models: bool = False,
    overwrite: bool = False,
    shows: str = "test",
    say: Callable[[str], None] = print,
) -> Outcome:
    """
    Carry out the runs that have no result in the store yet.

    Args:
        runs (`Sequence[Run]`): those with equal settings are one.
        store ([`Store`]): of the results.
        work (`Callable`): given a run, its folder and a function that takes the number of steps taken, carries the
            run out and returns its result. A run that was interrupted finds its folder as it left it.
        workers (`int`, *optional*): processes that carry out runs side by side; `work` must be picklable. By default
            the runs are carried out in turn in this process, or jointly by all that Accelerate started.
        keep_models (`bool`, *optional*, defaults to `False`): whether the folder of a run stays when it is done, but
            for its checkpoints.
        overwrite (`bool`, *optional*, defaults to `False`): whether runs whose results are there are repeated.
        shows (`str`, *optional*, defaults to `"test"`): which accuracies of a result the progress shows.
        say (`Callable`, *optional*): takes progress, line by line.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was trained is kept.
        OSError: another process carries out runs in the store's folder, or it cannot be written to.
    """
    first = workers is not None or _is_first()
    say = say if first else _say_nothing
    if first:
        check_room(store.folder)
    with store.locked() if first else nullcontext():
        done = _agreed(workers, {} if overwrite else store.of(runs) if first else None)
        todo = [run for run in dict.fromkeys(runs) if run not in done]
        kept = f" What is there is kept from {store.folder}." if done else ""
        at_a_time = f", {workers} at a time" if workers else ""
        say(f"{len(done) + len(todo)} runs: {len(done)} are there, {len(todo)} to do{at_a_time}.{kept}")
        places = _agreed(workers, {run: store.place(run, keep_models) for run in todo} if first else None)
        failed: dict[Run, str] = {}
        total = len(done) + len(todo)
        if workers is None:
            at = lambda run: say(f"[{len(done) + len(failed) + 1}/{total}] {run}")  # noqa: E731
            carried_out = _in_turn(places, work, at if keep_models else lambda run: None)
        else:
            carried_out = side_by_side(places, work, workers)
        for run, found in carried_out:
            if isinstance(found, Failure):
                failed[run] = found.reason
                say(f"FAILED {run}: {found.reason}")
                continue
            done[run] = found
            if first:
                store.write(run, found)
                tidy(places[run], keep_models)
            missing = [other for other in todo if other not in done and other not in failed]
            left = time_left(missing, done, workers or 1)
            say(f"[{total - len(missing)}/{total}] {describe(run, found, shows)}" + (f"; {left}" if left else ""))
    ordered = list(dict.fromkeys(runs))
    return Outcome([done[run] for run in ordered if run in done], {r: failed[r] for r in ordered if r in failed})


def _in_turn(
    places: dict[Run, Path], work: Work, starting: Callable[[Run], None]
) -> Iterator[tuple[Run, Result | Failure]]:
    for run, place in places.items():
        check_interrupted()
        starting(run)
        try:
            yield run, work(run, place, lambda step: None)
        except (ValueError, OSError, ImportError):
            raise  # What whoever gave the command can mend, before the next run fails for the same reason.
        except Exception as error:
            # Several processes go through a run together: one alone cannot go on to the next.
            if os.environ.get("HF_METAIRM_TRACEBACK") == "1" or _processes() > 1:
                raise
            yield run, Failure.of(error)


def tidy(place: Path, keep_models: bool) -> None:
    """Delete what a finished run needs no more."""
    for old in checkpoints(place) if keep_models else [place]:
        shutil.rmtree(old, ignore_errors=True)


def describe(run: Run, result: Result, shows: str = "test") -> str:
    """A finished run in one line."""
    shown = {name: found["accuracy"] for name, found in result[shows].items()}
    if len(shown) > 4:
        shown = {"mean": fmean(shown.values()), "worst": min(shown.values())}
    accuracies = ", ".join(f"{name} {100 * value:.1f} %" for name, value in shown.items())
    text = f"{run}: {accuracies} in {result['train_seconds']:.0f} s"
    return text + "".join(f"; WARNING: {warning}" for warning in result.get("warnings", ()))


def time_left(missing: Sequence[Run], done: dict[Run, Result], workers: int) -> str | None:
    """How long the missing runs will take, from how long finished ones of the same name took."""
    taken: dict[tuple[str, str], list[float]] = {}
    for run, result in done.items():
        taken.setdefault((run.file, run.name), []).append(result["train_seconds"])
    if not taken or not missing:
        return None
    overall = fmean(fmean(seconds) for seconds in taken.values())
    expected = [fmean(taken.get((run.file, run.name), [overall])) for run in missing]
    seconds = sum(expected) / min(workers, len(missing))
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"


# Where Accelerate started several processes, the first one reads and writes the store for all.


def _processes() -> int:
    from accelerate import PartialState

    return int(PartialState().num_processes)


def _is_first() -> bool:
    from accelerate import PartialState

    return bool(PartialState().is_main_process)


def _agreed(workers: int | None, value: Any) -> Any:
    """What the first process has found, in all of them."""
    if workers is not None or _processes() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def _say_nothing(line: str) -> None:
    return None
