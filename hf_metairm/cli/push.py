"""`hf-metairm push`: publish a trained model with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hf_metairm.experiments.bars import no_bars_in_files

from .errors import one_line_errors


def push(
    folder: Annotated[Path, typer.Argument(help="Folder of a trained model with its card.")],
    repo_id: Annotated[str, typer.Argument(metavar="REPO", help="Repository, such as name/model; made if need be.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository a private one.")] = False,
    token: Annotated[str | None, typer.Option(help="Token of the Hub; the one logged in by default.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch to commit to; made if need be.")] = None,
) -> None:
    """Publish a trained model with its card on the Hub: in one commit, all or nothing.

    For example: hf-metairm push outputs/reviews/meta-irm-seed0 name/reviews-meta-irm
    """
    with one_line_errors():
        from hf_metairm.cards.push import push_folder

        no_bars_in_files()
        address = push_folder(folder, repo_id, private=private or None, token=token, revision=revision)
    typer.echo(f"Pushed: {address}")
