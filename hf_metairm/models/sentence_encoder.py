"""Let a mean-pooled sentence encoder keep its pooling inside a standard `BertForSequenceClassification`."""

from __future__ import annotations

import copy
import json
from typing import Any

import torch
from torch import nn
from transformers import BertForSequenceClassification
from transformers.utils import cached_file


POOLING_FILE = "1_Pooling/config.json"
# What the mean is multiplied by before it is added to the first token and layer-normed: the first token's own share of
# the sum is then a thousandth.
_DOMINANCE = 1000.0


def is_mean_pooled(name_or_path: str) -> bool:
    """Whether a model, from the Hub or a folder, is a sentence encoder that averages its tokens (as its
    sentence-transformers files say)."""
    file = cached_file(
        name_or_path,
        POOLING_FILE,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    if file is None:
        return False
    with open(file, encoding="utf-8") as handle:
        return bool(json.load(handle).get("pooling_mode_mean_tokens"))


@torch.no_grad()
def add_mean_pooling(model: BertForSequenceClassification) -> BertForSequenceClassification:
    """
    Append one attention layer that puts the mean of all tokens in the first token's place, where BERT's classification
    head looks.

    Sentence encoders such as all-MiniLM-L6-v2 were trained to carry a sentence's meaning in the mean of its tokens;
    BERT's head reads the first token alone. In the new layer queries and keys are zero, so attention is uniform over
    the tokens that are not masked; values and output are the identity, and the feed-forward part adds nothing. The
    pooler, which was trained for another first token, starts anew. The result is an ordinary BERT with one more layer:
    `from_pretrained` and `pipeline` need nothing of this package.

    Args:
        model (`BertForSequenceClassification`): changed in place.

    Returns:
        the same model.
    """
    layer: Any = copy.deepcopy(model.bert.encoder.layer[-1])
    attention = layer.attention
    identity = torch.eye(model.config.hidden_size)
    for linear in (attention.self.query, attention.self.key, layer.intermediate.dense, layer.output.dense):
        _set(linear, torch.zeros_like(linear.weight))
    _set(attention.self.value, identity)
    _set(attention.output.dense, _DOMINANCE * identity)
    for norm in (attention.output.LayerNorm, layer.output.LayerNorm):
        nn.init.ones_(norm.weight)
        nn.init.zeros_(norm.bias)
    pooler: Any = model.bert.pooler
    nn.init.normal_(pooler.dense.weight, std=model.config.initializer_range)
    nn.init.zeros_(pooler.dense.bias)
    model.bert.encoder.layer.append(layer)
    model.config.num_hidden_layers += 1
    return model


def _set(linear: nn.Linear, weight: torch.Tensor) -> None:
    linear.weight.copy_(weight)
    linear.bias.zero_()
