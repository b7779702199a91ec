"""Datasets whose environments differ in how far a spurious cue follows the label."""

from .colored_mnist import ColoredMNIST, ColoredMNISTConfig
from .punctuated_sst2 import PunctuatedSST2, PunctuatedSST2Config
from .tensors import TensorRows, image_tensors


__all__ = [
    "ColoredMNIST",
    "ColoredMNISTConfig",
    "PunctuatedSST2",
    "PunctuatedSST2Config",
    "TensorRows",
    "image_tensors",
]
