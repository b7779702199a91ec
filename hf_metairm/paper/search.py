"""Random search: every algorithm with the same number of trials, and each selection rule's choice trained anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from .experiments import Row, Table, changed
from .jobs import Job, make_job
from .runner import Machine, carry_out
from .selection import RULES


# How a hyper-parameter is drawn: what of it is uniform, from where to where, and what is made of the draw.
Range = tuple[str, float, float, Callable[[float], Any]]
_POWER_OF_TEN: Callable[[float], float] = lambda x: 10**x  # noqa: E731
# Those of the IRM experiments' own search, but for the upper end of the weight's (6 there as well) and what is ours.
COMMON: dict[str, Range] = {
    "hidden_size": ("2^U", 6, 9, lambda x: int(2**x)),
    "l2_regularization": ("10^U", -5, -2, _POWER_OF_TEN),
    "learning_rate": ("10^U", -3.5, -2.5, _POWER_OF_TEN),
}
_ANNEAL: dict[str, Range] = {"penalty_anneal_steps": ("U", 50, 250, lambda x: int(x))}
_PENALTY: dict[str, Range] = {**COMMON, **_ANNEAL, "penalty_weight": ("10^U", 2, 6, _POWER_OF_TEN)}
RANGES: dict[str, dict[str, Range]] = {
    "erm": COMMON,
    "irmv1": _PENALTY,
    "v-rex": _PENALTY,
    "mm-rex": _PENALTY,
    "meta-irm": {
        **COMMON,
        **_ANNEAL,
        "inner_learning_rate": ("10^U", -1.5, 0.5, _POWER_OF_TEN),
        "std_loss_weight": ("10^U", 0, 4, _POWER_OF_TEN),
    },
}
# Validation accuracy that a rule gives up for invariance. The training environments of Colored MNIST reward the cue
# with about ten points, and those must be allowed to go.
MARGIN = 0.15


def draw(row: Row, trial: int) -> Row:
    """The row of a trial: its hyper-parameters drawn anew, by the trial's number and the algorithm alone."""
    random = Random(f"{row.algorithm} {trial}")
    drawn = {name: make(random.uniform(low, high)) for name, (_, low, high, make) in RANGES[row.algorithm].items()}
    return changed(row, f"{row.name}, trial {trial}", **drawn)


def searched(table: Table, algorithms: Sequence[str] | None = None) -> list[Row]:
    """The rows of a table that are searched: one for each algorithm that has ranges, references left out."""
    rows = [row for row in table.rows if row.algorithm in RANGES and not row.reference]
    return [row for row in rows if algorithms is None or row.algorithm in algorithms]


def trial_jobs(table: Table, rows: Sequence[Row], trials: int, **settings: Any) -> list[Job]:
    """The trials of a search, the algorithms in turn; trial t has seed 1000 + t."""
    file = file_of(table)
    return [
        make_job(table, draw(row, trial), 1000 + trial, file=file, **settings)
        for trial in range(trials)
        for row in rows
    ]


def file_of(table: Table) -> str:
    """Where the lines of a search go."""
    return f"search_{table.name}"


def choices(
    table: Table, rows: Sequence[Row], lines: Sequence[Mapping[str, Any]], margin: float = MARGIN
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """By row name and rule the trial that the rule chooses, of the trials in `lines`."""
    unseen = table.environments[-1]
    found = {}
    for row in rows:
        of_row = [line for line in lines if line["config"]["row"].startswith(f"{row.name}, trial ")]
        for name, rule in RULES.items():
            if of_row:
                found[row.name, name] = rule(of_row, margin, unseen)
    return found


def chosen_jobs(
    table: Table, chosen: Mapping[tuple[str, str], Mapping[str, Any]], seeds: int, **settings: Any
) -> list[Job]:
    """What the rules chose, trained with the seeds that the table itself has; once where two rules chose the same."""
    jobs = {}
    for line in chosen.values():
        config = line["config"]
        row = changed(
            table.row(config["row"].split(", trial ")[0]),
            f"{config['row']}, chosen",
            hidden_size=config["hidden_size"],
            **config["fields"],
        )
        for seed in range(seeds):
            job = make_job(table, row, seed, file=file_of(table), **settings)
            jobs[job.key] = job
    return list(jobs.values())


def search(
    table: Table,
    algorithms: Sequence[str] | None,
    trials: int,
    seeds: int,
    folder: Path,
    machine: Machine,
    *,
    batch: int | str,
    margin: float = MARGIN,
    say: Callable[[str], None] = print,
) -> None:
    """
    Carry out the trials, let every rule choose, and train what was chosen with `seeds` seeds.

    Args:
        table ([`Table`]): whose algorithms are searched.
        algorithms (`Sequence[str]`, *optional*): only these.
        trials (`int`): of each algorithm.
        seeds (`int`): of what was chosen.
        folder (`Path`): of the results.
        machine ([`Machine`]): to run on.
        batch (`int` or `"full"`): rows in a batch.
        margin (`float`): see [`selection.invariance`].
        say (`Callable`): takes progress, line by line.
    """
    rows = searched(table, algorithms)
    if not rows:
        raise ValueError(f"{table.name} has no algorithm to search among {', '.join(algorithms or [])}.")
    settings = {"batch": batch, "source": machine.source, "word_vectors": machine.word_vectors}
    lines = carry_out(trial_jobs(table, rows, trials, **settings), folder, machine, say)
    chosen = choices(table, rows, lines, margin)
    for (row, rule), line in chosen.items():
        figures = ", ".join(f"{name} {_short(value)}" for name, value in line["config"]["fields"].items())
        say(f"{row}, {rule}: {line['config']['row']} (hidden_size {line['config']['hidden_size']}, {figures})")
    carry_out(chosen_jobs(table, chosen, seeds, **settings), folder, machine, say)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and math.isfinite(value) else str(value)
