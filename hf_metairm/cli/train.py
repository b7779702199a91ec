"""`hf-metairm train`: carry out a recipe, through Accelerate where there are several processes or settings of it."""

from __future__ import annotations

import os
import signal
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from hf_metairm.experiments import RECIPES
from hf_metairm.experiments.config_files import find_config

from .errors import GOING_ON, INTERRUPTED, WRONG_USE, fail, one_line_errors


def train(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file with the recipe's settings, or punctuated_sst2, colored_mnist (and _full)."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help=f"{RECIPES[0]} (the default) or {', '.join(RECIPES[1:])}; a settings file may say it."),
    ] = None,
    num_processes: Annotated[
        int | None, typer.Option("--num_processes", help="Processes, one per GPU; Accelerate's choice by default.")
    ] = None,
    accelerate_config: Annotated[
        Path | None, typer.Option("--accelerate_config", help="Settings file of Accelerate.")
    ] = None,
    list_settings: Annotated[
        bool, typer.Option("--list-settings", help="Show every setting with its default and where it counts.")
    ] = False,
) -> None:
    """Train ERM and meta-IRM (or --algorithms) on the same data and budget, and compare them in every environment.

    Settings come from a YAML file, from `--FIELD VALUE` on the command line, or both; the command line wins. FIELD is
    a setting of the recipe or any field of the algorithms' Configs, such as `--max_steps` or `--std_loss_weight`:
    `--list-settings` shows them.

    Of finetune_text: `--dataset` (a file, folder or Hub name), `--text_column`, `--label_column`,
    `--environment_column`, `--unseen_environments`, `--model_name_or_path`, `--trainable` (all, head, top:1, lora).

    Of train_colored_mnist: `--dataset_config`, `--hidden_size`. Of both: `--output_dir`, `--seeds`, `--algorithms`.

    For example, on a file of yours, or with a settings file and changes to it:

    - hf-metairm train --dataset reviews.csv --text_column text --environment_column site --unseen_environments berlin

    - hf-metairm train --config punctuated_sst2 --seeds 0 1 2 --max_steps 100

    Ctrl-C leaves a checkpoint; the same command goes on from there.
    """
    with one_line_errors():
        config = config and find_config(config)
    recipe = recipe or _recipe_in(config)
    if recipe not in RECIPES:
        fail(f"There is no recipe {recipe!r}: use one of {', '.join(RECIPES)}.", WRONG_USE)
    if list_settings:
        from hf_metairm.experiments.listing import print_settings

        print_settings(import_module(f"hf_metairm.experiments.{recipe}").settings())
        return
    says_data = any(word.partition("=")[0] == "--dataset" for word in context.args)
    if config is None and recipe == RECIPES[0] and not says_data:
        fail("Say what to train on: --dataset FILE, FOLDER or NAME, or a settings file with --config.", WRONG_USE)
    if num_processes is not None and num_processes < 1:
        fail(f"--num_processes {num_processes}: give a number from 1 on.", WRONG_USE)
    if accelerate_config is not None and not accelerate_config.is_file():
        fail(f"--accelerate_config {accelerate_config}: there is no such file.", WRONG_USE)
    settings = [*([] if config is None else ["--config", str(config)]), *context.args]
    with one_line_errors(GOING_ON):
        if _in_this_process(num_processes, accelerate_config):
            import_module(f"hf_metairm.experiments.{recipe}").main(settings)
            return
        launcher = _launcher_options(num_processes, accelerate_config)
    raise typer.Exit(_launch([*launcher, "--module", f"hf_metairm.experiments.{recipe}", *settings]))


def _in_this_process(num_processes: int | None, file: Path | None) -> bool:
    """Whether there is nothing that Accelerate would have to start: one process, and no settings of it."""
    import torch
    from accelerate.commands.config.config_args import default_config_file

    if file is not None or os.path.isfile(default_config_file):
        return False
    return (num_processes or torch.cuda.device_count() or 1) == 1


def _launcher_options(num_processes: int | None, file: Path | None) -> list[str]:
    """What `accelerate launch` is told; without a settings file of Accelerate, all that it would warn of."""
    import torch
    from accelerate.commands.config.config_args import default_config_file

    options = [] if num_processes is None else ["--num_processes", str(num_processes)]
    if file is not None:
        return [*options, "--config_file", str(file)]
    if os.path.isfile(default_config_file):
        return options
    gpus = torch.cuda.device_count()
    processes = num_processes or max(gpus, 1)
    options = ["--num_processes", str(processes), "--num_machines", "1"]
    options += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    if "OMP_NUM_THREADS" not in os.environ:
        options += ["--num_cpu_threads_per_process", str(max((os.cpu_count() or 1) // processes, 1))]
    return [*options, "--multi_gpu"] if min(gpus, processes) > 1 else options


def _recipe_in(config: Path | None) -> Any:
    """The recipe that a settings file asks for."""
    import yaml

    if config is None:
        return RECIPES[0]
    try:
        return yaml.safe_load(config.read_text(encoding="utf-8")).get("recipe", RECIPES[0])
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        fail(f"{config} cannot be read as a settings file: {error}", WRONG_USE)


def _launch(words: list[str]) -> int:
    """`accelerate launch` in this process, without its traceback where the recipe itself has said what is wrong."""
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # Ctrl-C reaches the recipe too, which writes a checkpoint; wait for it.
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        launch_command(launch_command_parser().parse_args(words))
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    except ChildFailedError as error:
        return int(error.get_first_failure()[1].exitcode)
    except SignalException:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, previous)
    return 0
