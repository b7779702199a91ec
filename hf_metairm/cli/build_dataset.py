"""`hf-metairm build-dataset`: build one of the package's datasets as Parquet, and push it to the Hub if asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hf_metairm.data.registry import DATASETS

from .errors import one_line_errors


def parse_field(text: str) -> tuple[str, Any]:
    """Read `"environments=0.3,0.1"` or `"num_classes=4"`: numbers, `true`, `false`, and lists with commas."""
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"--set {text}: write FIELD=VALUE, such as label_noise=0.1.")
    try:
        parsed = json.loads(f"[{value}]")
    except ValueError as error:
        raise ValueError(f"--set {text}: {value!r} is no number, truth value or list of them.") from error
    many = name.strip().endswith("environments")
    return name.strip(), tuple(parsed) if many or len(parsed) != 1 else parsed[0]


def build_dataset(
    name: Annotated[str, typer.Argument(help=f"{DATASETS.listed()}.")],
    config: Annotated[
        list[str] | None, typer.Option("--config", help="Config to build; may be repeated; 'all' for every one.")
    ] = None,
    source: Annotated[str, typer.Option(help="auto, hub, bundled, or a folder with the original data.")] = "auto",
    output: Annotated[Path | None, typer.Option(help="Folder for the Parquet files; outputs/NAME by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every draw; 0 by default.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the config, as in label_noise=0.1."),
    ] = None,
    num_proc: Annotated[int | None, typer.Option("--num_proc", help="Processes that write rows.")] = None,
    cache_dir: Annotated[Path | None, typer.Option("--cache_dir", help="Cache of the builds.")] = None,
    push_to_hub: Annotated[
        str | None, typer.Option("--push_to_hub", metavar="REPO", help="Dataset repository to push to.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make the repository a private one.")] = False,
) -> None:
    """Build a dataset as Parquet with a card, and push it to the Hub if asked."""
    with one_line_errors():
        cls = DATASETS.choose(name)
        # Imported here, so that the other commands do not pay for it.
        from hf_metairm.cards.publish_dataset import push_to_hub as push
        from hf_metairm.cards.publish_dataset import write_parquet
        from hf_metairm.data.statistics import environment_statistics

        configs: list[str | None] = [*config] if config else [None]
        if configs == ["all"]:
            configs = [known.name for known in cls.BUILDER_CONFIGS]
        fields = dict(parse_field(text) for text in change or [])
        if seed is not None:
            fields["seed"] = seed
        builders = []
        for config_name in configs:
            builder = cls(config_name, source=source, cache_dir=cache_dir, **fields)
            builder.download_and_prepare(num_proc=num_proc)
            assert builder.data_source is not None
            if source == "auto":  # one source for all: what the first config found, the others take
                source = builder.data_source.kind
            builders.append(builder)
            typer.echo(f"{name}/{builder.config_id}: source is {builder.data_source.title}")
            found = environment_statistics(builder)
            width = max(len(row.environment) for row in found)
            for row in found:
                shares = "  ".join(f"{what} {share:.3f}" for what, share in row.shares.items())
                typer.echo(f"  {row.split:<10} {row.environment:<{width}} {row.rows:>6} rows  {shares}")
        folder = output or Path("outputs") / name
        write_parquet(builders, folder, repo_id=push_to_hub)
        typer.echo(f"Parquet files and card: {folder}")
        if push_to_hub:
            typer.echo(f"Pushed: {push(builders, push_to_hub, private=private, folder=folder)}")
