"""`hf-metairm explore`: the results and models of runs on a page of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import one_line_errors


def explore(
    runs: Annotated[Path, typer.Argument(help="The output folder of train, tune, reproduce or a Trainer.")],
    host: Annotated[str, typer.Option(help="The address to listen on; by default for this machine alone.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int | None, typer.Option(help="The port; a free one by default.")] = None,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Whether to open the page in the browser.")
    ] = True,
) -> None:
    """Show the results of runs on a page of this machine, and try sentences on their models.

    Accuracy by environment, what each run gives up in training for the unseen environment, and what the saved models
    say of a text of yours and of the same text with the cue turned round. Nothing leaves this machine.

    For example:

    - hf-metairm explore outputs/punctuated_sst2
    """
    with one_line_errors("Interrupted."):
        from hf_metairm.explore.serve import need_gradio

        need_gradio()
        from hf_metairm.experiments.bars import no_bars_in_files
        from hf_metairm.explore.found import look_into
        from hf_metairm.explore.serve import serve

        no_bars_in_files()
        found = look_into(runs)
        for note in found.notes:
            typer.echo(note, err=True)
        serve(found, host, port, open_browser, say=typer.echo)
