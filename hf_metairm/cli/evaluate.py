"""`hf-metairm evaluate`: any checkpoint on any dataset with an environment column."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .errors import one_line_errors
from .output import no_bars_in_files, print_json


def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(help="A folder or a Hub name: a text or image classifier, or a peft adapter of one.")
    ],
    dataset: options.Dataset,
    config: options.Config = None,
    split: options.Split = "test",
    environment_column: options.EnvironmentColumn = "environment",
    label_column: options.LabelColumn = "label",
    text_column: Annotated[
        str | None, typer.Option("--text_column", help="Column of the text; sentence or text by default.")
    ] = None,
    image_column: Annotated[
        str | None, typer.Option("--image_column", help="Column of the image; image or img by default.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="The model's classes in its order, 'a,b,c', where it does not name them itself.")
    ] = None,
    source: options.Source = "auto",
    missing_values: options.MissingValues = None,
    quoted: options.Quoted = None,
    max_length: Annotated[
        int | None, typer.Option("--max_length", help="Tokens of a text; what the model can take by default.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch_size", help="Rows at a time.")] = 64,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; a GPU if there is one, by default.")] = None,
    as_json: options.AsJson = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write results.json, table.md and accuracy.png to.")
    ] = None,
) -> None:
    """Evaluate a checkpoint in each environment: accuracy with its confidence interval, the worst one, confusion.

    For example: hf-metairm evaluate outputs/reviews/meta-irm-seed0 reviews.csv --environment_column site
    """
    with one_line_errors():
        from rich.console import Console

        from hf_metairm.data.files import ReadOptions
        from hf_metairm.data.opening import open_dataset
        from hf_metairm.evaluation import evaluate_checkpoint
        from hf_metairm.evaluation.report import print_evaluation, write_evaluation

        no_bars_in_files()
        reading = ReadOptions(tuple(missing_values or ()), quoted)
        evaluation = evaluate_checkpoint(
            checkpoint,
            open_dataset(dataset, config, split, source, options=reading, say=partial(typer.echo, err=True)),
            dataset=dataset,
            config=config,
            split=split,
            environment_column=environment_column,
            label_column=label_column,
            text_column=text_column,
            image_column=image_column,
            labels=[name.strip() for name in labels.split(",")] if labels else None,
            max_length=max_length,
            batch_size=batch_size,
            device=device,
        )
        if output is not None:
            write_evaluation(evaluation, output)
        if as_json:
            print_json(evaluation.to_dict())
            return
        print_evaluation(evaluation, Console())
        if output is not None:
            typer.echo(f"Results, tables and picture: {output}")
