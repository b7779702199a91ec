"""A small nonlinear head on features that were computed before: what the second of two stages trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import SequenceClassifierOutput


class FeatureHeadConfig(PreTrainedConfig):
    """
    Configuration of [`FeatureHead`].

    Args:
        input_size (`int`, *optional*, defaults to 384): features of a row.
        hidden_size (`int`, *optional*, defaults to 64): units of the hidden layer.
        activation (`str`, *optional*, defaults to `"tanh"`): between the two layers, by transformers' name of it.
    """

    model_type = "feature_head"

    def __init__(self, input_size: int = 384, hidden_size: int = 64, activation: str = "tanh", **kwargs: Any):
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.activation = activation
        super().__init__(**kwargs)


class FeatureHead(PreTrainedModel):
    """
    Linear, activation, linear: the form of BERT's own classification head, with fewer units. A linear head keeps the
    shortcut under meta-IRM, and one of BERT's own size follows it longer than one of 64 units.
    """

    config_class = FeatureHeadConfig
    base_model_prefix = "dense"
    main_input_name = "features"
    _no_split_modules: list[str] = []  # noqa: RUF012

    def __init__(self, config: FeatureHeadConfig):
        super().__init__(config)
        self.dense = nn.Linear(config.input_size, config.hidden_size)
        self.activation = ACT2FN[config.activation]
        assert config.num_labels is not None
        self.out = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            module.reset_parameters()

    def forward(self, features: Tensor, labels: Tensor | None = None) -> SequenceClassifierOutput:
        """
        Classify rows.

        Args:
            features (`Tensor`): float of shape (n, input_size).
            labels (`Tensor`, *optional*): int64 class ids of shape (n,).

        Returns:
            `SequenceClassifierOutput`: `logits` of shape (n, num_labels) and, with labels, the mean cross-entropy in
            nats as `loss`.
        """
        logits = self.out(self.activation(self.dense(features)))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)
