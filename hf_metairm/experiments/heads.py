"""Training a head on features, full batch: the second of two stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from transformers import set_seed

from ..cards.facts import CardFacts
from ..data import TensorRows
from ..environments import EnvironmentSampler
from ..models.feature_head import FeatureHead, FeatureHeadConfig
from ..trainer import ALGORITHMS, EnvironmentTrainer
from .two_stages import Features, TwoStages


STEPS = 300
# Of the Configs, for heads on standardized features: what the search of `hf-metairm tune` is built around.
DEFAULTS: dict[str, Any] = {
    "max_steps": STEPS,
    "learning_rate": 2e-3,
    "lr_scheduler_type": "cosine",
    "max_grad_norm": 0.0,
    "per_device_eval_batch_size": 8192,
    "logging_steps": 50,
    "save_steps": 100,
    "save_total_limit": 1,
    "report_to": "none",
    "dataloader_pin_memory": False,
}


class OneBatch(EnvironmentTrainer):
    """In front of a Trainer of this library: every step sees all rows of every environment."""

    def make_sampler(self) -> EnvironmentSampler:
        """Not drawn from: rows are looked at once before training as they would be in balanced batches."""
        assert self.environments is not None
        sizes = self.environments.sizes.values()
        self._train_batch_size = len(sizes) * min(sizes)
        return super().make_sampler()

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The same batch, `max_steps` times."""
        rows, environments = self.train_dataset, self.environments
        assert isinstance(rows, TensorRows)
        assert environments is not None
        batch = {}
        for k, name in enumerate(environments.names):
            part = rows.__getitems__(np.flatnonzero(environments.ids == k).tolist())
            batch[name] = {column: v.to(self.args.device) for column, v in part.items() if torch.is_tensor(v)}
        return DataLoader(_Repeated(batch, self.args.max_steps), batch_size=None)


class _Repeated(Dataset[Any]):
    def __init__(self, batch: Mapping[str, Any], times: int):
        self.batch, self.times = batch, times

    def __len__(self) -> int:
        return self.times

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.batch


class _SavesWhole(EnvironmentTrainer):
    """What is saved at the end, and what the card is of, is the whole model; checkpoints hold the head alone."""

    two_stages: TwoStages | None = None
    features: Features

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The whole model with its tokenizer, into the output folder by default."""
        if self.two_stages is None or _internal_call:
            return super().save_model(output_dir, _internal_call)
        if self.is_world_process_zero():
            place = Path(output_dir or str(self.args.output_dir))
            head = self.accelerator.unwrap_model(self.model)
            self.two_stages.whole(head, self.features).save_pretrained(place)
            self.two_stages.tokenizer.save_pretrained(place)

    def card_facts(self) -> CardFacts:
        """Those of the whole model."""
        facts = super().card_facts()
        if self.two_stages is None:
            return facts
        return replace(facts, model=self.two_stages.encoder[0], processor=self.two_stages.tokenizer)


_CLASSES: dict[str, type[_SavesWhole]] = {}


def head_trainer(
    algorithm: str,
    features: Features,
    config: Any,
    *,
    units: int,
    train: TensorRows | None = None,
    two_stages: TwoStages | None = None,
) -> EnvironmentTrainer:
    """
    The algorithm's Trainer with a new head.

    Args:
        algorithm (`str`): its name.
        features ([`Features`]): what the head trains on, and is evaluated on.
        config: the algorithm's Config; `per_device_train_batch_size` is set to all rows.
        units (`int`): hidden units of the head.
        train (`TensorRows`, *optional*): to train on in place of `features.train`.
        two_stages ([`TwoStages`], *optional*): where the whole model is to be saved.
    """
    if algorithm not in _CLASSES:
        plain = ALGORITHMS[algorithm][0]
        _CLASSES[algorithm] = type(f"Head{plain.__name__}", (_SavesWhole, OneBatch, plain), {})
    train = features.train if train is None else train
    config.per_device_train_batch_size = len(train)
    set_seed(config.seed)
    head = FeatureHead(
        FeatureHeadConfig(
            input_size=len(features.mean),
            hidden_size=units,
            activation=features.activation,
            num_labels=len(features.labels),
            id2label=dict(enumerate(features.labels)),
            label2id={label: k for k, label in enumerate(features.labels)},
        )
    )
    trainer = _CLASSES[algorithm](head, config, train_dataset=train, eval_dataset=features.test)
    trainer.two_stages, trainer.features = two_stages, features
    return trainer
