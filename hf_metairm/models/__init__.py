"""The small models of the paper, and what turns a sentence encoder into a classifier that trains in seconds."""

from .colored_mnist import ColoredMNISTClassifier, ColoredMNISTConfig
from .frozen_encoder import encode_sentences, encoder_stepped_over
from .sentence_encoder import add_mean_pooling, is_mean_pooled


__all__ = [
    "ColoredMNISTClassifier",
    "ColoredMNISTConfig",
    "add_mean_pooling",
    "encode_sentences",
    "encoder_stepped_over",
    "is_mean_pooled",
]
