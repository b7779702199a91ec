from .data import ColoredMNIST, PunctuatedSST2
from .environments import EnvironmentSampler
from .gradients import meta_gradient
from .inference import infer_environments
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
from .trainer.trl import MetaIRMDPOConfig as MetaIRMDPOConfig
from .trainer.trl import MetaIRMDPOTrainer as MetaIRMDPOTrainer
from .trainer.trl import MetaIRMRewardConfig as MetaIRMRewardConfig
from .trainer.trl import MetaIRMRewardTrainer as MetaIRMRewardTrainer
from .trainer.trl import MetaIRMSFTConfig as MetaIRMSFTConfig
from .trainer.trl import MetaIRMSFTTrainer as MetaIRMSFTTrainer

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
    "infer_environments",
    "meta_gradient",
]
