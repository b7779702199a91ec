"""One Trainer a file: `base` trains by plain ERM on environment-balanced batches, the others build on it."""

from .base import EnvironmentTrainer
from .configs import EnvironmentConfig, MetaIRMConfig
from .meta_irm import MetaIRMTrainer


# By the names that the command line and results use.
ALGORITHMS: dict[str, tuple[type[EnvironmentTrainer], type[EnvironmentConfig]]] = {
    "erm": (EnvironmentTrainer, EnvironmentConfig),
    "meta-irm": (MetaIRMTrainer, MetaIRMConfig),
}

__all__ = ["ALGORITHMS", "EnvironmentConfig", "EnvironmentTrainer", "MetaIRMConfig", "MetaIRMTrainer"]
