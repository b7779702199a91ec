"""`hf-metairm inspect`: what differs between the environments of anyone's dataset, before anything is trained."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from hf_metairm.experiments.bars import no_bars_in_files

from . import options
from .errors import one_line_errors
from .output import print_json


def inspect(
    dataset: options.Dataset,
    config: options.Config = None,
    split: options.Split = "train",
    environment_column: options.EnvironmentColumn = "environment",
    label_column: options.LabelColumn = "label",
    unseen_environments: Annotated[
        list[str] | None,
        typer.Option("--unseen_environments", help="An environment to leave out, as training will; may be repeated."),
    ] = None,
    causal_columns: Annotated[
        str | None,
        typer.Option("--causal_columns", help="Columns for invariant causal prediction, 'a,b,c' (needs icpy)."),
    ] = None,
    most_cues: Annotated[int, typer.Option("--most_cues", help="Cues of each kind to show.")] = 10,
    source: options.Source = "auto",
    missing_values: options.MissingValues = None,
    quoted: options.Quoted = None,
    as_json: options.AsJson = False,
) -> None:
    """Say how strongly each cue predicts the label in each environment, and what to beware of."""
    from rich.console import Console

    from hf_metairm.data.files import ReadOptions
    from hf_metairm.data.opening import open_dataset
    from hf_metairm.inspection import inspect_dataset, seen_rows
    from hf_metairm.inspection.causal import causal_prediction
    from hf_metairm.inspection.report import print_inspection

    with one_line_errors():
        no_bars_in_files()
        reading = ReadOptions(tuple(missing_values or ()), quoted)
        rows = open_dataset(dataset, config, split, source, options=reading, say=partial(typer.echo, err=True))
        report = inspect_dataset(
            rows,
            environment_column=environment_column,
            label_column=label_column,
            most_cues=most_cues,
            unseen_environments=unseen_environments or (),
        )
        causal = None
        if causal_columns:
            columns = [name.strip() for name in causal_columns.split(",") if name.strip()]
            seen = rows.select(seen_rows(rows, environment_column, unseen_environments or ()))
            causal = causal_prediction(seen, columns, environment_column=environment_column, label_column=label_column)
        if not as_json:
            print_inspection(report, causal, Console())
            return
        found: dict[str, Any] = report.to_dict()
        if causal is not None:
            found["invariant_causal_prediction"] = [asdict(column) for column in causal]
        print_json(found)
