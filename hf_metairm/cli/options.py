"""Arguments and options that several commands have, with the same words in each."""

from __future__ import annotations

from typing import Annotated

import typer

from hf_metairm.data.registry import DATASETS


Dataset = Annotated[
    str,
    typer.Argument(help=f"{', '.join(DATASETS)}, a file (Parquet, CSV, TSV, JSON), a folder or a Hub dataset."),
]
Config = Annotated[str | None, typer.Option("--config", help="The dataset's config.")]
Split = Annotated[str, typer.Option(help="The split; several as in 'validation+test'.")]
EnvironmentColumn = Annotated[
    str, typer.Option("--environment_column", help="Column that names each row's environment.")
]
LabelColumn = Annotated[str, typer.Option("--label_column", help="Column of the class.")]
Source = Annotated[str, typer.Option(help="For the datasets of this package: auto, hub, bundled, or a folder.")]
MissingValues = Annotated[
    list[str] | None,
    typer.Option("--missing_values", help="A word that stands for a missing value, such as NA; may be repeated."),
]
Quoted = Annotated[
    bool | None,
    typer.Option("--quoted/--not_quoted", help="Whether fields may stand in quotation marks: CSV yes, TSV no."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the findings as JSON and nothing else.")]
