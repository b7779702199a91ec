"""`hf-metairm`: the command line. One command a file."""

from __future__ import annotations

import typer

from .build_dataset import build_dataset
from .env import env
from .evaluate import evaluate
from .explore import explore
from .infer_environments import infer_environments
from .inspect import inspect
from .push import push
from .reproduce import report, reproduce, search
from .train import train
from .tune import tune


app = typer.Typer(
    name="hf-metairm",
    help="Meta-learned invariant risk minimization: train, evaluate, look into data, reproduce the paper.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train)
app.command("tune", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(tune)
app.command("evaluate")(evaluate)
app.command("explore")(explore)
app.command("push")(push)
app.command("inspect")(inspect)
app.command("infer-environments")(infer_environments)
app.command("build-dataset")(build_dataset)
app.command("reproduce")(reproduce)
app.command("search")(search)
app.command("report")(report)
app.command("env")(env)


def main() -> None:
    """Entry point of the console script."""
    app()
