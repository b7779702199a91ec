"""Several checkpoints on the same rows: one table, a column each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import files
from ..cards import text as write
from .intervals import Interval
from .report import caption
from .result import Evaluation


def side_by_side(evaluations: Sequence[Evaluation]) -> tuple[list[str], list[list[str]]]:
    """
    Header and rows of the table: every environment, then the mean over them, the worst of them, and all rows.

    Args:
        evaluations (`Sequence[Evaluation]`): of different checkpoints on the same rows, by the same metric.
    """
    first, metric = evaluations[0], evaluations[0].metric

    def cell(value: float, interval: Interval | None) -> str:
        span = "" if interval is None else f" ({' to '.join(map(metric.number, interval))})"
        return metric.number(value) + span

    rows = []
    for k, environment in enumerate(first.environments):
        found = [e.environments[k] for e in evaluations]
        values = [cell(e.metrics[metric.name], e.interval) + " unseen" * bool(e.unseen) for e in found]
        rows.append([environment.name, f"{environment.rows:,}", *values, f"{100 * environment.majority:.1f}"])
    rows.append(["mean over environments", "", *(cell(e.mean, e.mean_interval) for e in evaluations), ""])
    worst = [f"{cell(e.worst, e.worst_interval)} {e.worst_environment}" for e in evaluations]
    rows.append(["worst environment", "", *worst, ""])
    rows.append(["all rows", f"{first.rows:,}", *(cell(e.overall[metric.name], None) for e in evaluations), ""])
    return ["environment", "rows", *headings(evaluations), "majority, %"], rows


def headings(evaluations: Sequence[Evaluation]) -> list[str]:
    """What each checkpoint is called, as short as they can be told apart, and which algorithm trained it."""
    short = [Path(e.checkpoint).name for e in evaluations]
    names = short if len(set(short)) == len(short) else [e.checkpoint for e in evaluations]
    return [f"{name} ({e.algorithm})" if e.algorithm else name for name, e in zip(names, evaluations)]


def title(evaluations: Sequence[Evaluation]) -> str:
    """What is compared, on what."""
    first = evaluations[0]
    data = f"{first.dataset} ({first.config})" if first.config else first.dataset
    return f"{first.metric.title.capitalize()} of {len(evaluations)} checkpoints on {data}, {first.split}"


def print_side_by_side(evaluations: Sequence[Evaluation], console: Console) -> None:
    """The table on the terminal, and what a reader should know of each checkpoint."""
    header, rows = side_by_side(evaluations)
    table = Table(title=escape(title(evaluations)), caption=escape(caption(evaluations[0])))
    for k, name in enumerate(header):
        table.add_column(escape(name), justify="right" if k else "left", overflow="fold")
    for k, row in enumerate(rows):
        table.add_row(*map(escape, row), end_section=k == len(rows) - 4)
    console.print(table)
    for note in _notes(evaluations):
        console.print(escape(note))


def write_side_by_side(evaluations: Sequence[Evaluation], folder: Path) -> None:
    """`table.md`, and `results.json` with a list of all that was found, in `folder`."""
    found = [evaluation.to_dict() for evaluation in evaluations]
    header, *rows = [list(map(write.plain, row)) for row in _with_header(side_by_side(evaluations))]
    said = caption(evaluations[0])
    blocks = [f"# {write.plain(title(evaluations))}", write.table(header, rows, right=range(1, len(header)))]
    blocks += [f"{said[0].upper()}{said[1:]}.", *map(write.plain, _notes(evaluations))]
    files.write(folder / "results.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    files.write(folder / "table.md", "\n\n".join(blocks) + "\n")


def _with_header(cells: tuple[list[str], list[list[str]]]) -> list[list[str]]:
    return [cells[0], *cells[1]]


def _notes(evaluations: Sequence[Evaluation]) -> list[str]:
    """Each note once, with the checkpoints that it is of where it is not of all."""
    of: dict[str, list[str]] = {}
    for name, evaluation in zip(headings(evaluations), evaluations):
        for note in evaluation.notes:
            of.setdefault(note, []).append(name)
    return [note if len(names) == len(evaluations) else f"{', '.join(names)}: {note}" for note, names in of.items()]
