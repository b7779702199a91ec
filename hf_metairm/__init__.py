"""Meta-learned invariant risk minimization for the Hugging Face Trainer.

The public names are imported on first use, so that `import hf_metairm` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any


__version__ = "0.1.0"

_MODULE_OF = {
    "ColoredMNIST": "datasets",
    "EnvironmentSampler": "environments",
    "EnvironmentConfig": "trainers",
    "EnvironmentTrainer": "trainers",
    "GroupDROConfig": "trainers",
    "GroupDROTrainer": "trainers",
    "IRMConfig": "trainers",
    "IRMTrainer": "trainers",
    "MMRExConfig": "trainers",
    "MetaIRMConfig": "trainers",
    "MetaIRMTrainer": "trainers",
    "PunctuatedSST2": "datasets",
    "RExConfig": "trainers",
    "RExTrainer": "trainers",
}

__all__ = sorted(_MODULE_OF)

if TYPE_CHECKING:
    from .datasets import ColoredMNIST, PunctuatedSST2
    from .environments import EnvironmentSampler
    from .trainers import (
        EnvironmentConfig,
        EnvironmentTrainer,
        GroupDROConfig,
        GroupDROTrainer,
        IRMConfig,
        IRMTrainer,
        MetaIRMConfig,
        MetaIRMTrainer,
        MMRExConfig,
        RExConfig,
        RExTrainer,
    )


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
