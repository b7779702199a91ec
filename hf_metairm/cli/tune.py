"""`hf-metairm tune`: settings for one's own data, and which algorithm to take."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options


def _list_settings(wanted: bool) -> None:
    if wanted:
        from hf_metairm.experiments.finetune_text import SAID_DEFAULTS
        from hf_metairm.experiments.listing import listed, print_settings
        from hf_metairm.tuning.tune import TuneArguments

        print_settings(listed(TuneArguments, SAID_DEFAULTS, own=True))
        raise typer.Exit


def tune(
    context: typer.Context,
    dataset: options.Dataset,
    list_settings: Annotated[
        bool,
        typer.Option(
            "--list-settings",
            callback=_list_settings,
            is_eager=True,
            help="Show every setting with its default and where it counts.",
        ),
    ] = False,
) -> None:
    """Search settings by a rule that never sees the unseen environments, and say which algorithm to take: perhaps ERM.

    The encoder is fine-tuned once, by ERM, on a part of the rows; every trial trains a small head on its output for
    other rows, which takes seconds. The same command goes on where it was interrupted.

    Data and model are named as for `train`: `--environment_column`, `--unseen_environments`, `--text_column`,
    `--label_column`, `--model_name_or_path`, `--trainable` (what stage one fine-tunes: all, top:1, lora; head leaves
    the encoder as it is), `--max_length`, `--output_dir`.

    The search: `--algorithms` (erm v-rex meta-irm), `--trials` (30 of each), `--rule` (worst-group, half-range,
    invariance, calibration, train-environments, leave-one-out, oracle), `--seeds` (0 1 2), `--workers`, and
    `--models false` where no models are to be trained at the end. Any field of the algorithms' Configs, such as
    `--max_steps`, has the value that is given in all trials.

    For example:

    - hf-metairm tune reviews.csv --environment_column site --unseen_environments berlin
    """
    from hf_metairm.experiments.command import run_command
    from hf_metairm.tuning.tune import read_tune_settings
    from hf_metairm.tuning.tune import tune as carry_out

    run_command(lambda: carry_out(read_tune_settings(["--dataset", dataset, *context.args])))
