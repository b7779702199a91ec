"""A Trainer for each algorithm: the ready-made ones by their public names, and one for whatever else is registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, make_dataclass
from typing import Any, ClassVar

from transformers import TrainingArguments

from ..algorithms import ALGORITHMS as REGISTERED
from ..algorithms import Algorithm
from ..algorithms.erm import ERM
from ..algorithms.group_dro import GroupDRO
from ..algorithms.irmv1 import IRMv1
from ..algorithms.meta_irm import MetaIRM
from ..algorithms.rex import MMREx, REx, VREx
from .base import EnvironmentTrainer
from .configs import EnvironmentConfig, GroupDROConfig, IRMConfig, MetaIRMConfig, MMRExConfig, RExConfig
from .settings import EnvironmentSettings


class IRMTrainer(EnvironmentTrainer):
    """[`EnvironmentTrainer`] with [`~hf_metairm.algorithms.irmv1.IRMv1`]; `args` is an [`IRMConfig`]."""

    algorithm_class = IRMv1
    config_class = IRMConfig


class RExTrainer(EnvironmentTrainer):
    """
    [`EnvironmentTrainer`] with [`~hf_metairm.algorithms.rex.VREx`], or with [`~hf_metairm.algorithms.rex.MMREx`] where
    `rex_penalty="maximum"`; `args` is a [`RExConfig`].
    """

    algorithm_class = REx
    config_class = RExConfig

    def make_algorithm(self, environments: tuple[str, ...]) -> Algorithm:
        """V-REx or MM-REx, as the settings say."""
        chosen = VREx if self.args.rex_penalty == "variance" else MMREx
        return chosen(self.args, environments)


class GroupDROTrainer(EnvironmentTrainer):
    """[`EnvironmentTrainer`] with [`~hf_metairm.algorithms.group_dro.GroupDRO`]; `args` is a [`GroupDROConfig`]."""

    algorithm_class = GroupDRO
    config_class = GroupDROConfig


class MetaIRMTrainer(EnvironmentTrainer):
    """
    [`EnvironmentTrainer`] with [`~hf_metairm.algorithms.meta_irm.MetaIRM`]; `args` is a [`MetaIRMConfig`].

    Example:

    ```python
    trainer = MetaIRMTrainer(
        model=model,
        args=MetaIRMConfig("output", environment_column="hospital", per_device_train_batch_size=64),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    trainer.train()
    ```
    """

    algorithm_class = MetaIRM
    config_class: ClassVar[type[TrainingArguments]] = MetaIRMConfig


_READY_MADE: dict[type[Algorithm], tuple[type[EnvironmentTrainer], type[TrainingArguments]]] = {
    ERM: (EnvironmentTrainer, EnvironmentConfig),
    IRMv1: (IRMTrainer, IRMConfig),
    VREx: (RExTrainer, RExConfig),
    MMREx: (RExTrainer, MMRExConfig),
    GroupDRO: (GroupDROTrainer, GroupDROConfig),
    MetaIRM: (MetaIRMTrainer, MetaIRMConfig),
}


class _Trainers(Mapping[str, tuple[type[EnvironmentTrainer], Any]]):
    """The Trainer and the Config of every registered algorithm, by its name."""

    def __getitem__(self, name: str) -> tuple[type[EnvironmentTrainer], Any]:
        algorithm = REGISTERED[name]
        if algorithm not in _READY_MADE:
            _READY_MADE[algorithm] = _made_for(algorithm)
        return _READY_MADE[algorithm]

    def __iter__(self) -> Iterator[str]:
        return iter(REGISTERED)

    def __len__(self) -> int:
        return len(REGISTERED)


def _made_for(algorithm: type[Algorithm]) -> tuple[type[EnvironmentTrainer], type[TrainingArguments]]:
    bases = (EnvironmentSettings, algorithm.Settings, TrainingArguments)
    config: type[TrainingArguments] = dataclass(make_dataclass(f"{algorithm.__name__}Config", [], bases=bases))
    config.__module__ = __name__
    members = {"algorithm_class": algorithm, "config_class": config, "__doc__": algorithm.__doc__}
    return type(f"{algorithm.__name__}Trainer", (EnvironmentTrainer,), {**members, "__module__": __name__}), config


ALGORITHMS = _Trainers()


def __getattr__(name: str) -> type:
    """What was made for an algorithm, by its class's name: that is how a checkpoint's arguments name their Config."""
    for made in (kind for pair in ALGORITHMS.values() for kind in pair):
        if (made.__module__, made.__name__) == (__name__, name):
            return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
