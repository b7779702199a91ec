"""An evaluation as tables for the terminal, as Markdown, and as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import files
from ..cards import text as write
from ..names import cell
from .intervals import Interval
from .picture import draw
from .result import Evaluation


MOST_CLASSES, MOST_ENVIRONMENTS = 12, 20  # whose confusion matrices go to the terminal


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """`results.json`, `table.md` and a picture that is called by the metric (`accuracy.png`) in `folder`."""
    results = json.dumps(evaluation.to_dict(), indent=1, ensure_ascii=False)
    files.write(folder / "results.json", results + "\n")
    files.write(folder / "table.md", markdown(evaluation))
    draw(evaluation, folder / f"{evaluation.metric.name}.png")


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """The table of results, and a confusion matrix for each environment."""
    header, rows = result_cells(evaluation)
    table = Table(title=cell(title(evaluation)), caption=caption(evaluation))
    for k, name in enumerate(header):
        table.add_column(Text(name.replace(", %", "\n%")), justify="right" if 0 < k < len(header) - 1 else "left")
    for k, row in enumerate(rows):
        table.add_row(*map(cell, row), end_section=k == len(evaluation.environments) - 1)
    console.print(table)
    for note in evaluation.notes:
        console.print(cell(note))
    if len(evaluation.labels) > MOST_CLASSES:
        console.print(f"Confusion matrices of {len(evaluation.labels)} classes: with --output or --json.")
        return
    if len(evaluation.environments) > MOST_ENVIRONMENTS:
        console.print(f"Confusion matrices of {len(evaluation.environments):,} environments: with --output or --json.")
        return
    for heading, header, rows in confusions(evaluation):
        table = Table(header[0], title=cell(heading))
        for label in header[1:]:
            table.add_column(cell(label), justify="right")
        for row in rows:
            table.add_row(*map(cell, row))
        console.print(table)


def result_cells(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table: every environment, then the mean over them, the worst of them, and all rows."""
    metric, worst = evaluation.metric, evaluation.worst_environment
    others = [name for name in evaluation.overall if name != metric.name]
    with_interval = [f"{100 * evaluation.confidence:.0f} % interval"] if metric.share_of_rows else []

    def row(name: str, rows: str, value: float, interval: Interval | None, *more: str) -> list[str]:
        span = "" if interval is None else " to ".join(map(metric.number, interval))
        return [name, rows, metric.number(value), *([span] if with_interval else []), *more]

    blank = [""] * (len(others) + 2)
    cells = [
        row(
            e.name + " (unseen)" * bool(e.unseen),
            f"{e.rows:,}",
            evaluation.values[e.name],
            e.interval,
            *(f"{e.metrics[name]:.4g}" for name in others),
            f"{100 * e.majority:.1f}",
            "worst" * (e.name == worst),
        )
        for e in evaluation.environments
    ]
    cells.append(row("mean over environments", "", evaluation.mean, evaluation.mean_interval, *blank))
    cells.append(row("worst environment", "", evaluation.worst, evaluation.worst_interval, *blank))
    over_all = [f"{evaluation.overall[name]:.4g}" for name in others]
    cells.append(row("all rows", f"{evaluation.rows:,}", evaluation.overall[metric.name], None, *over_all, "", ""))
    return ["environment", "rows", metric.heading, *with_interval, *others, "majority, %", ""], cells


def confusions(evaluation: Evaluation) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Heading, header and rows of each environment's confusion matrix."""
    for e in evaluation.environments:
        rows = [[label, *(f"{n:,}" for n in counts)] for label, counts in zip(evaluation.labels, e.confusion)]
        yield f"Confusion in {e.name} (rows)", ["true class \\ predicted", *evaluation.labels], rows


def title(evaluation: Evaluation) -> str:
    """What was evaluated on what."""
    config = f" ({evaluation.config})" if evaluation.config else ""
    return f"{evaluation.checkpoint} on {evaluation.dataset}{config}, {evaluation.split}"


def caption(evaluation: Evaluation) -> str:
    """What the intervals and the column beside them are."""
    guessing = f"guessing among {len(evaluation.labels)} classes: {100 / len(evaluation.labels):.1f} %"
    majority = f"majority: the most frequent class; {guessing}"
    return f"intervals: Wilson's, over the rows; {majority}" if evaluation.metric.share_of_rows else majority


def markdown(evaluation: Evaluation) -> str:
    """The tables as Markdown."""

    def table(header: list[str], rows: list[list[str]]) -> str:
        cells = [list(map(write.plain, row)) for row in [header, *rows]]
        return write.table(cells[0], cells[1:], right=range(1, len(header)))

    said = caption(evaluation)
    blocks = [f"# {write.plain(title(evaluation))}", table(*result_cells(evaluation)), f"{said[0].upper()}{said[1:]}."]
    blocks += [write.plain(note) for note in evaluation.notes]
    for heading, header, rows in confusions(evaluation):
        blocks += [f"## {write.plain(heading)}", table(header, rows)]
    return "\n\n".join(blocks) + "\n"
