"""The classifier of the Colored MNIST experiments: a perceptron with two hidden layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput


class ColoredMNISTConfig(PreTrainedConfig):
    """
    Configuration of [`ColoredMNISTClassifier`].

    Args:
        channels (`int`, *optional*, defaults to 2): colours, one channel each.
        image_size (`int`, *optional*, defaults to 14): height and width in pixels.
        hidden_size (`int`, *optional*, defaults to 256): units in each of the two hidden layers.
    """

    model_type = "colored_mnist"

    def __init__(self, channels: int = 2, image_size: int = 14, hidden_size: int = 256, **kwargs: Any):
        self.channels = channels
        self.image_size = image_size
        self.hidden_size = hidden_size
        super().__init__(**kwargs)


class ColoredMNISTClassifier(PreTrainedModel):
    """
    Perceptron with two hidden layers and ReLU, Xavier-uniform weights and zero biases, as in the experiments of
    Arjovsky et al. 2019 (arXiv 1907.02893). For two classes it has their single output z, and the logits are (0, z):
    two outputs would learn at twice the pace in z, with the same learning rate.
    """

    config_class = ColoredMNISTConfig
    base_model_prefix = "layers"
    main_input_name = "pixel_values"
    _no_split_modules: list[str] = []  # noqa: RUF012

    def __init__(self, config: ColoredMNISTConfig):
        super().__init__(config)
        assert config.num_labels is not None
        pixels = config.channels * config.image_size**2
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, 1 if config.num_labels == 2 else config.num_labels),
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageClassifierOutput:
        """
        Classify images.

        Args:
            pixel_values (`Tensor`): float of shape (n, channels, image_size, image_size), in [0, 1].
            labels (`Tensor`, *optional*): int64 class ids of shape (n,).

        Returns:
            `ImageClassifierOutput`: `logits` of shape (n, num_labels) and, with labels, the mean cross-entropy in
            nats as `loss`.
        """
        logits = self.layers(pixel_values)
        if logits.shape[1] == 1:
            logits = nn.functional.pad(logits, (1, 0))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return ImageClassifierOutput(loss=loss, logits=logits)
