"""`hf-metairm inspect`: what differs between the environments of anyone's dataset, before anything is trained."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .errors import one_line_errors
from .output import no_bars_in_files, print_json


if TYPE_CHECKING:
    from hf_metairm.data.causal import CausalColumn
    from hf_metairm.data.cues import Cue
    from hf_metairm.data.inspection import Inspection


def inspect(
    dataset: options.Dataset,
    config: options.Config = None,
    split: options.Split = "train",
    environment_column: options.EnvironmentColumn = "environment",
    label_column: options.LabelColumn = "label",
    causal_columns: Annotated[
        str | None,
        typer.Option("--causal_columns", help="Columns for invariant causal prediction, 'a,b,c' (needs icpy)."),
    ] = None,
    most_cues: Annotated[int, typer.Option("--most_cues", help="Cues of each kind to show.")] = 10,
    source: options.Source = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Say how strongly each cue predicts the label in each environment, and what to beware of."""
    from hf_metairm.data.causal import causal_prediction
    from hf_metairm.data.inspection import inspect_dataset
    from hf_metairm.data.opening import open_dataset

    with one_line_errors():
        no_bars_in_files()
        rows = open_dataset(dataset, config, split, source)
        report = inspect_dataset(
            rows, environment_column=environment_column, label_column=label_column, most_cues=most_cues
        )
        causal = None
        if causal_columns:
            columns = [name.strip() for name in causal_columns.split(",") if name.strip()]
            causal = causal_prediction(rows, columns, environment_column=environment_column, label_column=label_column)
        if not as_json:
            show(report, causal)
            return
        found: dict[str, Any] = report.to_dict()
        if causal is not None:
            found["invariant_causal_prediction"] = [asdict(column) for column in causal]
        print_json(found)


def show(report: Inspection, causal: list[CausalColumn] | None) -> None:
    """Print the findings as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("environment", "rows", title="Rows and label shares")
    labels = list(report.environments[0].labels)
    shown = labels[:10]
    for label in shown:
        table.add_column(label, justify="right")
    for share in report.environments:
        table.add_row(share.name, f"{share.rows:,}", *(f"{share.labels[label]:.3f}" for label in shown))
    console.print(table)
    if len(labels) > len(shown):
        console.print(f"(and {len(labels) - len(shown)} more labels)")
    names = [share.name for share in report.environments]
    for cues, title in (
        (report.differing, "Cues whose strength differs: the kind that an invariant method can drop"),
        (report.stable, "Cues as strong everywhere: content, or a shortcut that no invariant method can tell from it"),
    ):
        if cues:
            console.print(_cue_table(cues, title, names))
        else:
            console.print(f"{title}: none.")
    if causal is not None:
        table = Table(title="Invariant causal prediction")
        for heading in ("column", "same relation everywhere, p", "not needed, p (ICP)"):
            table.add_column(heading)
        for column in causal:
            table.add_row(column.column, f"{column.invariant_p_value:.2g}", f"{column.parent_p_value:.2g}")
        console.print(table)
        console.print("A small p in the first column: the relation differs. In the second: a cause of the label.")
    if report.skipped:
        console.print(f"Not looked at (lists, records, or pictures of several sizes): {', '.join(report.skipped)}.")
    for warning in report.warnings:
        console.print(f"[bold yellow]Warning:[/] {warning}")


def _cue_table(cues: list[Cue], title: str, names: list[str]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("column", "cue", "speaks for", title=title)
    for name in names[:10]:
        table.add_column(name, justify="right")
    table.add_column("p (same)", justify="right")
    for cue in cues:
        strengths = [f"{cue.strength[name]:+.2f}" for name in names[:10]]
        table.add_row(escape(cue.column), escape(cue.what), escape(cue.label), *strengths, f"{cue.p_value:.1g}")
    return table
