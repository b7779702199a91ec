from .builders.colored_mnist import ColoredMNIST, ColoredMNISTConfig
from .builders.punctuated_sst2 import PunctuatedSST2, PunctuatedSST2Config
from .registry import DATASETS
from .tensors import TensorRows, image_tensors

__all__ = [
    "DATASETS",
    "ColoredMNIST",
    "ColoredMNISTConfig",
    "PunctuatedSST2",
    "PunctuatedSST2Config",
    "TensorRows",
    "image_tensors",
]
