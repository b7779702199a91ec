"""`hf-metairm infer-environments`: two environments for rows that no column divides."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hf_metairm.experiments.bars import no_bars_in_files

from . import options
from .errors import one_line_errors
from .output import print_json


def infer_environments(
    dataset: options.Dataset,
    config: options.Config = None,
    split: options.Split = "train",
    method: Annotated[
        str, typer.Option(help="eiil: where invariance is violated most; jtt: where the reference model is wrong.")
    ] = "eiil",
    environment_column: Annotated[
        str, typer.Option("--environment_column", help="Name of the new column.")
    ] = "environment",
    label_column: options.LabelColumn = "label",
    text_column: Annotated[
        str | None, typer.Option("--text_column", help="Column of the text; sentence or text by default.")
    ] = None,
    model_name_or_path: Annotated[
        str,
        typer.Option(
            "--model_name_or_path",
            help="What the reference model reads: regression (words, marks, starts and ends), or what an encoder puts "
            "out: minilm (extra demo), a model on the Hub, or a folder.",
        ),
    ] = "regression",
    seed: Annotated[int, typer.Option(help="Of the division into five folds.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write; of the same kind beside the one that is read, by default."),
    ] = None,
    source: options.Source = "auto",
    missing_values: options.MissingValues = None,
    quoted: options.Quoted = None,
    as_json: options.AsJson = False,
) -> None:
    """Divide rows that no column divides into two environments: with and against a model that follows the shortcut.

    Writes the rows with one column more, and a picture of what separates the environments. A warning says where the
    split is no better than chance on rows that the model was not fitted to.

    For example:

    - hf-metairm infer-environments reviews.csv --text_column text --output inferred.csv

    - hf-metairm tune inferred.csv --text_column text
    """
    from rich.console import Console

    from hf_metairm.data.files import ReadOptions
    from hf_metairm.data.opening import open_dataset
    from hf_metairm.data.writing import check_writable, write_table
    from hf_metairm.inference import infer_environments
    from hf_metairm.inference.report import draw_split, lengths, print_lengths, print_split
    from hf_metairm.inspection import inspect_dataset
    from hf_metairm.inspection.report import print_inspection

    with one_line_errors():
        no_bars_in_files()
        reading, say = ReadOptions(tuple(missing_values or ()), quoted), partial(typer.echo, err=True)
        rows = open_dataset(dataset, config, split, source, options=reading, say=say)
        place = output or _beside(dataset)
        if place.exists() and Path(dataset).expanduser().exists() and place.samefile(Path(dataset).expanduser()):
            raise ValueError(f"--output {place} is the file that is read: name another one.")
        check_writable(rows, place)
        found = infer_environments(
            model_name_or_path,
            rows,
            method=method,
            column=environment_column,
            label_column=label_column,
            text_column=text_column,
            seed=seed,
            say=say,
        )
        write_table(found.dataset, place, reading)
        looked = inspect_dataset(found.dataset, environment_column=environment_column, label_column=label_column)
        words = lengths(found.dataset, environment_column, found.text_column) if found.text_column else {}
        picture = place.with_name(f"{place.name.partition('.')[0]}.png")
        draw_split(looked, words, f"{Path(dataset).name}: what separates the environments", picture)
        if as_json:
            print_json(
                {
                    "method": found.method,
                    "rows": found.rows,
                    "held_out": {**asdict(found.held_out), "p_value": found.held_out.p_value},
                    "warnings": found.warnings,
                    "mean_words": {name: float(counts.mean()) for name, counts in words.items()},
                    "inspection": looked.to_dict(),
                    "file": str(place),
                    "picture": str(picture),
                }
            )
            return
        console = Console()
        print_inspection(looked, None, console)
        if words:
            print_lengths(words, console)
        print_split(found, console)
        typer.echo(f"Rows with the column {environment_column!r}: {place}\nPicture: {picture}")


def _beside(dataset: str) -> Path:
    """`reviews_environments.csv` for `reviews.csv`; a Parquet file in this folder for what is no single file."""
    path = Path(dataset).expanduser()
    if not path.is_file():
        return Path(f"{path.name}_environments.parquet")
    stem, dot, endings = path.name.partition(".")
    return path.with_name(f"{stem}_environments{dot}{endings}")
