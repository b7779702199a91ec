"""An evaluation as tables for the terminal, as Markdown, and as files."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..cards import text as write
from .picture import draw
from .result import Evaluation, Interval


MOST_CLASSES = 12


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """`results.json`, `table.md` and a picture that is called by the metric (`accuracy.png`) in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    results = json.dumps(evaluation.to_dict(), indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(results + "\n", encoding="utf-8")
    (folder / "table.md").write_text(markdown(evaluation), encoding="utf-8")
    draw(evaluation, folder / f"{evaluation.measure.name}.png")


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """The table of results, and a confusion matrix for each environment."""
    header, rows = result_cells(evaluation)
    table = Table(title=escape(title(evaluation)), caption=caption(evaluation))
    for k, name in enumerate(header):
        table.add_column(escape(name.replace(", %", "\n%")), justify="right" if 0 < k < len(header) - 1 else "left")
    for k, row in enumerate(rows):
        table.add_row(*map(escape, row), end_section=k == len(evaluation.environments) - 1)
    console.print(table)
    for note in evaluation.notes:
        console.print(escape(note))
    if len(evaluation.labels) > MOST_CLASSES:
        console.print(f"Confusion matrices of {len(evaluation.labels)} classes: with --output or --json.")
        return
    for environment in evaluation.environments:
        table = Table("true class \\ predicted", title=f"Confusion in {escape(environment.name)} (rows)")
        for label in evaluation.labels:
            table.add_column(escape(label), justify="right")
        for label, counts in zip(evaluation.labels, environment.confusion):
            table.add_row(escape(label), *(f"{count:,}" for count in counts))
        console.print(table)


def result_cells(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table: every environment, then the mean over them, the worst of them, and all rows."""
    measure, worst = evaluation.measure, evaluation.worst_environment
    others = [name for name in evaluation.overall if name != measure.name]
    with_interval = [f"{100 * evaluation.confidence:.0f} % interval"] if measure.share else []

    def row(name: str, rows: str, value: float, interval: Interval | None, *more: str) -> list[str]:
        span = "" if interval is None else " to ".join(map(measure.number, interval))
        return [name, rows, measure.number(value), *([span] if with_interval else []), *more]

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
    cells.append(row("all rows", f"{evaluation.rows:,}", evaluation.overall[measure.name], None, *over_all, "", ""))
    return ["environment", "rows", measure.heading, *with_interval, *others, "majority, %", ""], cells


def title(evaluation: Evaluation) -> str:
    """What was evaluated on what."""
    config = f" ({evaluation.config})" if evaluation.config else ""
    return f"{evaluation.checkpoint} on {evaluation.dataset}{config}, {evaluation.split}"


def caption(evaluation: Evaluation) -> str:
    """What the intervals and the column beside them are."""
    guessing = f"guessing among {len(evaluation.labels)} classes: {100 / len(evaluation.labels):.1f} %"
    majority = f"majority: the most frequent class; {guessing}"
    return f"intervals: Wilson's, over the rows; {majority}" if evaluation.measure.share else majority


def markdown(evaluation: Evaluation) -> str:
    """The tables as Markdown."""

    def table(header: list[str], rows: list[list[str]]) -> str:
        cells = [list(map(write.plain, row)) for row in [header, *rows]]
        return write.table(cells[0], cells[1:], right=range(1, len(header)))

    said = caption(evaluation)
    blocks = [f"# {write.plain(title(evaluation))}", table(*result_cells(evaluation)), f"{said[0].upper()}{said[1:]}."]
    blocks += [write.plain(note) for note in evaluation.notes]
    for environment in evaluation.environments:
        counts = [
            [label, *(f"{count:,}" for count in line)] for label, line in zip(evaluation.labels, environment.confusion)
        ]
        blocks.append(f"## Confusion in {write.plain(environment.name)} (rows)")
        blocks.append(table(["true class \\ predicted", *evaluation.labels], counts))
    return "\n\n".join(blocks) + "\n"
