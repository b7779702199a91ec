"""One Trainer a file: `base` trains by plain ERM on environment-balanced batches, the others build on it."""

from .base import EnvironmentTrainer
from .configs import EnvironmentConfig, MetaIRMConfig
from .meta_irm import MetaIRMTrainer


__all__ = ["EnvironmentConfig", "EnvironmentTrainer", "MetaIRMConfig", "MetaIRMTrainer"]
