"""
The Hugging Face glue. `base` is the Trainer that everything builds on: `data` makes its batches, `risk` the loss it
differentiates, `evaluation` evaluates each environment, `checkpoint` keeps the algorithm's state, `checks` looks at
everything before training starts. `algorithms` has the ready-made Trainers, `configs` their Configs.
"""

from .algorithms import ALGORITHMS, GroupDROTrainer, IRMTrainer, MetaIRMTrainer, RExTrainer
from .base import EnvironmentTrainer
from .configs import EnvironmentConfig, GroupDROConfig, IRMConfig, MetaIRMConfig, MMRExConfig, RExConfig
from .evaluation import EnvironmentResult
from .settings import EnvironmentSettings


__all__ = [
    "ALGORITHMS",
    "EnvironmentConfig",
    "EnvironmentResult",
    "EnvironmentSettings",
    "EnvironmentTrainer",
    "GroupDROConfig",
    "GroupDROTrainer",
    "IRMConfig",
    "IRMTrainer",
    "MMRExConfig",
    "MetaIRMConfig",
    "MetaIRMTrainer",
    "RExConfig",
    "RExTrainer",
]
