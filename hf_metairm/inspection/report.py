"""The findings of an inspection as tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..names import cell, one_line
from .causal import CausalColumn
from .cues import Cue
from .dataset import Inspection
from .difficulty import Difficulty


MOST_COLUMNS = 10  # labels or environments side by side
SMALLEST_P = 1e-15


def print_inspection(report: Inspection, causal: list[CausalColumn] | None, console: Console) -> None:
    """Print what [`inspect_dataset`] found, and invariant causal prediction where it was asked for."""
    table = Table("environment", "rows", title="Rows and label shares")
    labels = list(report.environments[0].labels)
    shown = labels[:MOST_COLUMNS]
    for label in shown:
        table.add_column(cell(label), justify="right")
    for share in report.environments:
        table.add_row(cell(share.name), f"{share.rows:,}", *(f"{share.labels[label]:.3f}" for label in shown))
    console.print(table)
    if len(labels) > len(shown):
        console.print(f"(and {len(labels) - len(shown)} more labels)")
    names = [share.name for share in report.environments]
    for cues, title in (
        (report.differing, "Cues whose strength differs: the kind that an invariant method can drop"),
        (
            report.stable,
            "Cues that are not shown to differ: content, or a shortcut that no invariant method can tell from it",
        ),
    ):
        console.print(_cue_table(cues, title, names) if cues else f"{title}: none.")
    if report.difficulty:
        console.print(_difficulty_table(report.difficulty))
        console.print("A shortcut that is a word makes an environment look easier, too: see the cues that differ.")
    if causal is not None:
        table = Table(
            "column", "same relation everywhere, p", "not needed, p (ICP)", title="Invariant causal prediction"
        )
        for column in causal:
            table.add_row(cell(column.column), said_p(column.invariant_p_value, 2), said_p(column.parent_p_value, 2))
        console.print(table)
        console.print("A small p in the first column: the relation differs. In the second: a cause of the label.")
    if report.skipped:
        skipped = ", ".join(report.skipped)
        console.print(cell(f"Not looked at (lists, records, or pictures of several sizes): {skipped}."))
    for warning in report.warnings:
        console.print(Text.assemble(("Warning:", "bold yellow"), f" {one_line(warning)}"))


def said_p(p: float, digits: int = 1) -> str:
    """A p-value for people, who are not told of one that it is 0."""
    return f"{p:.{digits}g}" if p >= SMALLEST_P else f"< {SMALLEST_P:g}"


def _cue_table(cues: list[Cue], title: str, names: list[str]) -> Table:
    table = Table("column", "cue", "speaks for", title=title)
    for name in names[:MOST_COLUMNS]:
        table.add_column(cell(name), justify="right")
    table.add_column("p (same)", justify="right")
    for cue in cues:
        strengths = [f"{cue.strength[name]:+.2f}" for name in names[:MOST_COLUMNS]]
        table.add_row(cell(cue.column), cell(cue.what), cell(cue.label), *strengths, said_p(cue.p_value))
    return table


def _difficulty_table(found: list[Difficulty]) -> Table:
    table = Table(
        "environment", title="Difficulty: the label told by words, in each environment alone (cross-validated)"
    )
    for name in ("rows drawn", "accuracy", "risk, nats", "most frequent class"):
        table.add_column(name, justify="right")
    for one in found:
        accuracy = f"{one.accuracy:.3f} ± {one.standard_error:.3f}"
        table.add_row(cell(one.environment), f"{one.rows:,}", accuracy, f"{one.risk:.3f}", f"{one.most_frequent:.3f}")
    return table
