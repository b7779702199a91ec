"""`hf-metairm env`: the versions to put into a bug report."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer


PACKAGES = ("hf_metairm", "torch", "transformers", "datasets", "accelerate", "evaluate", "huggingface-hub", "peft")


def env(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print the versions of this package and of what it stands on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        typer.echo(f"{name:<16} {value}")
