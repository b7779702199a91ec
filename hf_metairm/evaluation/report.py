"""An evaluation as tables for the terminal, as Markdown, and as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .picture import draw
from .result import Evaluation, Interval


MOST_CLASSES = 12


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """`results.json`, `table.md` and `accuracy.png` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    results = json.dumps(evaluation.to_dict(), indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(results + "\n", encoding="utf-8")
    (folder / "table.md").write_text(markdown(evaluation), encoding="utf-8")
    draw(evaluation, folder / "accuracy.png")


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """The table of accuracies, and a confusion matrix for each environment."""
    header, lines = accuracy_cells(evaluation)
    table = Table(title=escape(title(evaluation)), caption=caption(evaluation))
    for k, name in enumerate(header):
        table.add_column(name, justify="right" if 0 < k < 4 else "left")
    for k, line in enumerate(lines):
        table.add_row(*map(escape, line), end_section=k == len(evaluation.environments) - 1)
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


def accuracy_cells(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table: every environment, then the mean over them and the worst of them."""
    header = ["environment", "rows", "accuracy, %", f"{100 * evaluation.confidence:.0f} % interval", ""]
    lines = [
        [e.name, f"{e.rows:,}", _percent(e.accuracy), _range(e.interval), "worst" if e.name == worst else ""]
        for worst in [evaluation.worst_environment]
        for e in evaluation.environments
    ]
    lines.append(
        ["mean over environments", "", _percent(evaluation.mean_accuracy), _range(evaluation.mean_interval), ""]
    )
    lines.append(["worst environment", "", _percent(evaluation.worst_accuracy), _range(evaluation.worst_interval), ""])
    lines.append(["all rows", f"{evaluation.rows:,}", _percent(evaluation.accuracy), "", ""])
    return header, lines


def title(evaluation: Evaluation) -> str:
    """What was evaluated on what."""
    config = f" ({evaluation.config})" if evaluation.config else ""
    return f"{evaluation.checkpoint} on {evaluation.dataset}{config}, {evaluation.split}"


def caption(evaluation: Evaluation) -> str:
    """What the intervals are."""
    return f"intervals: bootstrap over the rows of each environment, {evaluation.resamples:,} resamples"


def markdown(evaluation: Evaluation) -> str:
    """The tables as Markdown."""
    blocks = [f"# {_cell(title(evaluation))}", _table(*accuracy_cells(evaluation)), _sentence(caption(evaluation))]
    blocks += [_cell(note) for note in evaluation.notes]
    for environment in evaluation.environments:
        counts = [
            [label, *(f"{count:,}" for count in line)] for label, line in zip(evaluation.labels, environment.confusion)
        ]
        blocks.append(f"## Confusion in {_cell(environment.name)} (rows)")
        blocks.append(_table(["true class \\ predicted", *evaluation.labels], counts))
    return "\n\n".join(blocks) + "\n"


def _table(header: list[str], lines: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in [header, rule, *lines])


def _cell(text: Any) -> str:
    """Names from anywhere, so that they stay in their cell and mean nothing in Markdown."""
    plain = " ".join(str(text).split())
    return "".join(f"\\{c}" if c in "\\|`*_<>[]#" else c for c in plain)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _range(interval: Interval) -> str:
    return " to ".join(map(_percent, interval))
