from .data import ColoredMNIST, PunctuatedSST2
from .environments import EnvironmentSampler
from .gradients import meta_gradient
from .provenance import __version__ as __version__
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

__all__ = [
    "ColoredMNIST",
    "EnvironmentConfig",
    "EnvironmentSampler",
    "EnvironmentTrainer",
    "GroupDROConfig",
    "GroupDROTrainer",
    "IRMConfig",
    "IRMTrainer",
    "MMRExConfig",
    "MetaIRMConfig",
    "MetaIRMTrainer",
    "PunctuatedSST2",
    "RExConfig",
    "RExTrainer",
    "meta_gradient",
]
