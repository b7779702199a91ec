"""`hf-metairm evaluate`: any checkpoint on any dataset with an environment column."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hf_metairm.deprecation import ignored
from hf_metairm.experiments.bars import no_bars_in_files

from . import options
from .errors import one_line_errors
from .output import print_json


def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(help="A folder or a Hub name: a text or image classifier, or a peft adapter of one.")
    ],
    dataset: options.Dataset,
    others: Annotated[
        list[str] | None,
        typer.Option("--with", help="Another checkpoint to stand beside the first, such as ERM's; may be repeated."),
    ] = None,
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
    bootstrap: Annotated[int | None, typer.Option(hidden=True)] = None,
    seed: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Evaluate a checkpoint in each environment: accuracy with its confidence interval, the worst one, confusion.

    With `--with` other checkpoints stand beside it in one table.

    For example:

    - hf-metairm evaluate outputs/reviews/meta-irm-seed0 reviews.csv --environment_column site

    - hf-metairm evaluate outputs/reviews/meta-irm-seed0 reviews.csv --with outputs/reviews/erm-seed0
    """
    for name, value in (("--bootstrap", bootstrap), ("--seed", seed)):
        if value is not None:
            typer.echo(f"Warning: {ignored(f'hf-metairm evaluate {name}')}", err=True)
    with one_line_errors():
        from rich.console import Console

        from hf_metairm.data.files import ReadOptions
        from hf_metairm.data.opening import open_dataset
        from hf_metairm.evaluation import evaluate_checkpoint
        from hf_metairm.evaluation.checkpoint import check_checkpoint
        from hf_metairm.evaluation.report import print_evaluation, write_evaluation
        from hf_metairm.evaluation.side_by_side import print_side_by_side, write_side_by_side

        no_bars_in_files()
        checkpoints = [checkpoint, *(others or [])]
        for name in checkpoints:
            check_checkpoint(name)
        reading = ReadOptions(tuple(missing_values or ()), quoted)
        rows = open_dataset(dataset, config, split, source, options=reading, say=partial(typer.echo, err=True))
        evaluations = [
            evaluate_checkpoint(
                name,
                rows,
                dataset=dataset,
                config=config,
                split=split,
                environment_column=environment_column,
                label_column=label_column,
                text_column=text_column,
                image_column=image_column,
                labels=[label.strip() for label in labels.split(",")] if labels else None,
                max_length=max_length,
                batch_size=batch_size,
                device=device,
            )
            for name in checkpoints
        ]
        if output is not None:
            if others:
                write_side_by_side(evaluations, output)
            else:
                write_evaluation(evaluations[0], output)
        if as_json:
            print_json([e.to_dict() for e in evaluations] if others else evaluations[0].to_dict())
            return
        if others:
            print_side_by_side(evaluations, Console())
        else:
            print_evaluation(evaluations[0], Console())
        if output is not None:
            typer.echo(f"Results, tables{'' if others else ' and picture'}: {output}")
