"""Small models of transformers for tasks as people have them, in float64, each with rows of two environments."""

from __future__ import annotations

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    LlamaConfig,
    LlamaForCausalLM,
)


SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 24,
}


class Padding:
    """What the collators ask of a tokenizer, without one."""

    padding_side = "right"
    pad_token_id = 0
    deprecation_warnings: dict = {}  # noqa: RUF012

    def save_pretrained(self, folder):
        """Nothing to save."""

    def pad(self, features, return_tensors="pt", **kwargs):
        longest = max(len(f["input_ids"]) for f in features)
        batch = {
            key: torch.tensor([list(f[key]) + [0] * (longest - len(f[key])) for f in features])
            for key in ("input_ids", "attention_mask")
        }
        for key in set(features[0]) - set(batch):
            batch["labels" if key == "label" else key] = torch.tensor([f[key] for f in features])
        return batch


def rows(task: str, environments: int = 2, number: int = 16, seed: int = 0) -> Dataset:
    """Rows of random tokens, of unequal length, with labels of the task."""
    generator = np.random.default_rng(seed)
    total = environments * number
    lengths = generator.integers(4, 13, size=total)
    tokens = [generator.integers(1, 40, size=n).tolist() for n in lengths]
    columns = {
        "input_ids": tokens,
        "attention_mask": [[1] * len(t) for t in tokens],
        "environment": [chr(ord("a") + k % environments) for k in range(total)],
    }
    if task == "classification":
        columns["label"] = generator.integers(3, size=total).tolist()
    elif task == "tokens":
        columns["labels"] = [[-100, *generator.integers(3, size=len(t) - 1).tolist()] for t in tokens]
    elif task == "language":
        columns["labels"] = tokens
    elif task == "regression":
        columns["labels"] = generator.normal(size=total).tolist()
    elif task == "multi-label":
        columns["labels"] = generator.integers(2, size=(total, 3)).astype(float).tolist()
    elif task == "questions":
        columns["start_positions"] = [int(generator.integers(n)) for n in lengths]
        columns["end_positions"] = [int(generator.integers(n)) for n in lengths]
    return Dataset.from_dict(columns)


def model(task: str):
    """A new model for the task, always the same one, without dropout."""
    torch.manual_seed(0)
    if task == "language":
        return LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=2)).double()
    problem = {"regression": "regression", "multi-label": "multi_label_classification"}.get(task)
    config = BertConfig(
        **SMALL,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels={"regression": 1, "questions": 2}.get(task, 3),
        problem_type=problem,
    )
    kind = {"tokens": BertForTokenClassification, "questions": BertForQuestionAnswering}
    return kind.get(task, BertForSequenceClassification)(config).double()


def collator(task: str):
    """Pads the rows of one batch to their longest."""
    if task in ("tokens", "language"):
        return DataCollatorForTokenClassification(Padding())
    return DataCollatorWithPadding(Padding())


TASKS = ("classification", "tokens", "language", "regression", "multi-label", "questions")
