"""
The small models of the paper, and what turns a sentence encoder into a classifier that trains in seconds.

With this package imported, `AutoConfig` and the `AutoModelFor…` know the small models by their `model_type`.
"""

from transformers import AutoConfig, AutoModelForImageClassification, AutoModelForSequenceClassification

from ..deprecation import former_names
from .bag_of_embeddings import BagOfEmbeddingsClassifier, BagOfEmbeddingsConfig
from .colored_mnist import ColoredMNISTClassifier, ColoredMNISTConfig
from .frozen_encoder import encode_sentences, encoder_skipped
from .sentence_encoder import add_mean_pooling, is_mean_pooled
from .word_tokenizer import word_tokenizer


AutoConfig.register(ColoredMNISTConfig.model_type, ColoredMNISTConfig, exist_ok=True)
AutoModelForImageClassification.register(ColoredMNISTConfig, ColoredMNISTClassifier, exist_ok=True)
AutoConfig.register(BagOfEmbeddingsConfig.model_type, BagOfEmbeddingsConfig, exist_ok=True)
AutoModelForSequenceClassification.register(BagOfEmbeddingsConfig, BagOfEmbeddingsClassifier, exist_ok=True)
# Saved models bring their code along: each stands in a file that imports nothing of this package.
ColoredMNISTConfig.register_for_auto_class()
ColoredMNISTClassifier.register_for_auto_class("AutoModelForImageClassification")
BagOfEmbeddingsConfig.register_for_auto_class()
BagOfEmbeddingsClassifier.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = [
    "BagOfEmbeddingsClassifier",
    "BagOfEmbeddingsConfig",
    "ColoredMNISTClassifier",
    "ColoredMNISTConfig",
    "add_mean_pooling",
    "encode_sentences",
    "encoder_skipped",
    "is_mean_pooled",
    "word_tokenizer",
]

__getattr__ = former_names(__name__)
