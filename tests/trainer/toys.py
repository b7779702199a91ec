"""Toy data and models for the Trainers' tests, with the corners that matter: dropout, tied and unused parameters."""

from __future__ import annotations

import numpy as np
import torch
from datasets import Dataset
from torch import nn

from hf_metairm import EnvironmentConfig, MetaIRMConfig

from ..gradients.models import SmallMLP, small_bert


class Classifier(nn.Module):
    """The small MLP as the Trainer wants a model: columns in, loss and logits out."""

    def __init__(self, dropout: float = 0.2, tied: bool = True):
        super().__init__()
        torch.manual_seed(0)
        self.body = SmallMLP(dropout, tied).double()

    def forward(self, x, labels=None):
        logits = self.body(x.double())
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def numbers(environments: int = 2, rows: int = 24, seed: int = 0) -> Dataset:
    """Rows for [`Classifier`]; environments "a", "b", …"""
    generator = np.random.default_rng(seed)
    total = environments * rows
    return Dataset.from_dict(
        {
            "x": generator.normal(size=(total, 6)).tolist(),
            "label": generator.integers(3, size=total).tolist(),
            "environment": [chr(ord("a") + k % environments) for k in range(total)],
            "note": ["not for the model"] * total,
        }
    )


def sentences(environments: int = 2, rows: int = 16, seed: int = 0) -> Dataset:
    """Token ids for the small BERT."""
    generator = np.random.default_rng(seed)
    total = environments * rows
    return Dataset.from_dict(
        {
            "input_ids": generator.integers(1, 40, size=(total, 7)).tolist(),
            "attention_mask": [[1] * 7] * total,
            "label": generator.integers(2, size=total).tolist(),
            "environment": [chr(ord("a") + k % environments) for k in range(total)],
        }
    )


def model_and_data(name: str, environments: int = 2, tied: bool = True):
    """A model in float64 and data for it. A plain module with tied weights cannot be saved: pass `tied=False`."""
    if name == "mlp":
        return Classifier(tied=tied), numbers(environments)
    return small_bert().double(), sentences(environments)


def arguments(tmp_path, config=MetaIRMConfig, **options):
    defaults = {
        "per_device_train_batch_size": 12,
        "max_steps": 3,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "max_grad_norm": 0.0,
        "learning_rate": 1e-2,
    }
    return config(str(tmp_path), **{**defaults, **options})


__all__ = ["Classifier", "EnvironmentConfig", "arguments", "model_and_data", "numbers", "sentences"]
