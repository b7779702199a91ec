"""Meta-learned invariant risk minimization for the Hugging Face Trainer.

The public names are imported on first use, so that `import hf_metairm` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .provenance import __version__


_MODULE_OF = {
    "ColoredMNIST": "data",
    "EnvironmentSampler": "environments",
    "EnvironmentConfig": "trainer",
    "EnvironmentTrainer": "trainer",
    "GroupDROConfig": "trainer",
    "GroupDROTrainer": "trainer",
    "IRMConfig": "trainer",
    "IRMTrainer": "trainer",
    "MMRExConfig": "trainer",
    "MetaIRMConfig": "trainer",
    "MetaIRMTrainer": "trainer",
    "PunctuatedSST2": "data",
    "RExConfig": "trainer",
    "RExTrainer": "trainer",
    "meta_gradient": "gradients",
}

__all__ = sorted(_MODULE_OF)

if TYPE_CHECKING:
    from .data import ColoredMNIST, PunctuatedSST2
    from .environments import EnvironmentSampler
    from .trainer import (
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
