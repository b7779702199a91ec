"""`hf-metairm evaluate`: any checkpoint on any dataset with an environment column."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import one_line_errors
from .output import no_bars_in_files, print_json


def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(help="A folder or a Hub name: a text or image classifier, or a peft adapter of one.")
    ],
    dataset: Annotated[
        str,
        typer.Argument(
            help="colored_mnist, punctuated_sst2, a file (Parquet, CSV, TSV, JSON), a folder, or a Hub dataset."
        ),
    ],
    config: Annotated[str | None, typer.Option("--config", help="The dataset's config.")] = None,
    split: Annotated[str, typer.Option(help="The split; several as in 'validation+test'.")] = "test",
    environment_column: Annotated[
        str, typer.Option("--environment_column", help="Column that names each row's environment.")
    ] = "environment",
    label_column: Annotated[str, typer.Option("--label_column", help="Column of the class.")] = "label",
    text_column: Annotated[
        str | None, typer.Option("--text_column", help="Column of the text; sentence or text by default.")
    ] = None,
    image_column: Annotated[
        str | None, typer.Option("--image_column", help="Column of the image; image or img by default.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="For the two datasets of this package: auto, hub, bundled, or a folder.")
    ] = "auto",
    max_length: Annotated[
        int | None, typer.Option("--max_length", help="Tokens of a text; what the model can take by default.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch_size", help="Rows at a time.")] = 64,
    bootstrap: Annotated[int, typer.Option(help="Bootstrap samples, for the confidence intervals.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; a GPU if there is one, by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON and nothing else.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write results.json, table.md and accuracy.png to.")
    ] = None,
) -> None:
    """Evaluate a checkpoint in each environment: accuracy with its confidence interval, the worst one, confusion.

    For example: hf-metairm evaluate outputs/reviews/meta-irm-seed0 reviews.csv --environment_column site
    """
    with one_line_errors():
        from rich.console import Console

        from hf_metairm.data.opening import open_dataset
        from hf_metairm.evaluation import evaluate_checkpoint
        from hf_metairm.evaluation.report import print_evaluation, write_evaluation

        no_bars_in_files()
        evaluation = evaluate_checkpoint(
            checkpoint,
            open_dataset(dataset, config, split, source),
            dataset=dataset,
            config=config,
            split=split,
            environment_column=environment_column,
            label_column=label_column,
            text_column=text_column,
            image_column=image_column,
            max_length=max_length,
            batch_size=batch_size,
            resamples=bootstrap,
            seed=seed,
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
