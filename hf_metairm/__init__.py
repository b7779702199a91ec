"""Meta-learned invariant risk minimization for the Hugging Face Trainer.

The public names are imported on first use, so that `import hf_metairm` costs nothing; `__init__.pyi` says the same to
type checkers and editors.
"""

from __future__ import annotations

import importlib
from typing import Any

from .deprecation import find_former_modules as _find_former_modules
from .provenance import __version__ as __version__


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
    "MetaIRMDPOConfig": "trainer.trl",
    "MetaIRMDPOTrainer": "trainer.trl",
    "MetaIRMRewardConfig": "trainer.trl",
    "MetaIRMRewardTrainer": "trainer.trl",
    "MetaIRMSFTConfig": "trainer.trl",
    "MetaIRMSFTTrainer": "trainer.trl",
    "MetaIRMTrainer": "trainer",
    "PunctuatedSST2": "data",
    "RExConfig": "trainer",
    "RExTrainer": "trainer",
    "infer_environments": "inference",
    "meta_gradient": "gradients",
}

_find_former_modules()

# Without those that need an extra.
__all__ = sorted(name for name, module in _MODULE_OF.items() if module != "trainer.trl")


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
