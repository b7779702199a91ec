"""`hf-metairm train`: carry out a settings file through Accelerate."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Annotated

import typer


RECIPES = ("finetune_text", "train_colored_mnist")


def train(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="YAML file with the job's settings.")],
    num_processes: Annotated[
        int | None, typer.Option("--num_processes", help="Processes, one per GPU; Accelerate's choice by default.")
    ] = None,
    accelerate_config: Annotated[
        Path | None, typer.Option("--accelerate_config", help="Settings file of Accelerate.")
    ] = None,
) -> None:
    """Train what a settings file says; --FIELD VALUE after it overrides any of its fields.

    For example: hf-metairm train --config punctuated_sst2.yaml --seeds 0 1 2 --max_steps 100
    """
    import yaml

    try:
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
        recipe = settings.get("recipe", RECIPES[0])
    except (OSError, AttributeError, yaml.YAMLError) as error:
        _refuse(f"{config} cannot be read as a settings file: {' '.join(str(error).split())}")
    if recipe not in RECIPES:
        _refuse(f"{config} asks for the recipe {recipe!r}; there are {', '.join(RECIPES)}.")
    launcher = []
    if num_processes is not None:
        launcher += ["--num_processes", str(num_processes)]
    if accelerate_config is not None:
        launcher += ["--config_file", str(accelerate_config)]
    job = ["--module", f"hf_metairm.recipes.{recipe}", "--config", str(config), *context.args]
    raise typer.Exit(_launch([*launcher, *job]))


def _launch(words: list[str]) -> int:
    """`accelerate launch` in this process, without its traceback where the job itself has said what is wrong."""
    from accelerate.commands.launch import launch_command, launch_command_parser

    # Ctrl-C reaches the job too, which writes a checkpoint; wait for it.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        launch_command(launch_command_parser().parse_args(words))
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    return 0


def _refuse(message: str) -> None:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(2)
