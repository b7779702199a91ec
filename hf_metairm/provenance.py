"""What a result was computed with: versions and hardware, in words."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


__version__ = "0.1.0"


def versions(*more: str) -> dict[str, str]:
    """The versions that a result depends on; those of the packages `more` too, where they are installed."""
    import datasets
    import torch
    import transformers

    found = {
        "hf_metairm": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "datasets": datasets.__version__,
        "python": platform.python_version(),
    }
    for package in more:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> str:
    """What a result was computed on, in words."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} threads"
