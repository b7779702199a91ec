"""The Configs: each a `transformers.TrainingArguments` with the settings of the Trainer and of an algorithm."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import TrainingArguments

from ..algorithms.group_dro import GroupDROSettings
from ..algorithms.irmv1 import IRMSettings
from ..algorithms.meta_irm import MetaIRMSettings
from ..algorithms.rex import MMRExSettings, RExSettings
from ..algorithms.settings import AlgorithmSettings
from .settings import EnvironmentSettings


@dataclass
class EnvironmentConfig(EnvironmentSettings, AlgorithmSettings, TrainingArguments):
    """Arguments of [`EnvironmentTrainer`]: `TrainingArguments`, [`EnvironmentSettings`] and the L2 term."""


@dataclass
class IRMConfig(EnvironmentSettings, IRMSettings, TrainingArguments):
    """Arguments of [`IRMTrainer`]: those of [`EnvironmentConfig`] and [`IRMSettings`]."""


@dataclass
class RExConfig(EnvironmentSettings, RExSettings, TrainingArguments):
    """Arguments of [`RExTrainer`]: those of [`EnvironmentConfig`] and [`RExSettings`]."""


@dataclass
class MMRExConfig(EnvironmentSettings, MMRExSettings, TrainingArguments):
    """[`RExConfig`] with `rex_penalty="maximum"`."""


@dataclass
class GroupDROConfig(EnvironmentSettings, GroupDROSettings, TrainingArguments):
    """Arguments of [`GroupDROTrainer`]: those of [`EnvironmentConfig`] and [`GroupDROSettings`]."""


@dataclass
class MetaIRMConfig(EnvironmentSettings, MetaIRMSettings, TrainingArguments):
    """Arguments of [`MetaIRMTrainer`]: those of [`EnvironmentConfig`] and [`MetaIRMSettings`]."""
