"""
One algorithm a file, its Config beside its Trainer: `base` trains by plain ERM on environment-balanced batches, the
others build on it.
"""

from .base import EnvironmentTrainer
from .configs import EnvironmentConfig, PenaltyConfig
from .group_dro import GroupDROConfig, GroupDROTrainer
from .irm import IRMConfig, IRMTrainer
from .meta_irm import MetaIRMConfig, MetaIRMTrainer
from .rex import MMRExConfig, RExConfig, RExTrainer


# By the names that the command line and results use. IRMv2 (Khezeli et al. 2021, arXiv 2106.09777) is not among them:
# its formula could not be confirmed from a source.
ALGORITHMS: dict[str, tuple[type[EnvironmentTrainer], type[EnvironmentConfig]]] = {
    "erm": (EnvironmentTrainer, EnvironmentConfig),
    "irmv1": (IRMTrainer, IRMConfig),
    "v-rex": (RExTrainer, RExConfig),
    "mm-rex": (RExTrainer, MMRExConfig),
    "group-dro": (GroupDROTrainer, GroupDROConfig),
    "meta-irm": (MetaIRMTrainer, MetaIRMConfig),
}

__all__ = [
    "ALGORITHMS",
    "EnvironmentConfig",
    "EnvironmentTrainer",
    "GroupDROConfig",
    "GroupDROTrainer",
    "IRMConfig",
    "IRMTrainer",
    "MMRExConfig",
    "MetaIRMConfig",
    "MetaIRMTrainer",
    "PenaltyConfig",
    "RExConfig",
    "RExTrainer",
]
