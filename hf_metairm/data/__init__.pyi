from .builders.cad_imdb import CADIMDb, CADIMDbConfig
from .builders.civil_comments import CivilComments, CivilCommentsConfig
from .builders.colored_mnist import ColoredMNIST, ColoredMNISTConfig
from .builders.punctuated_sst2 import PunctuatedSST2, PunctuatedSST2Config
from .files import ReadOptions, read_table
from .opening import open_dataset, open_splits
from .own import load_own
from .registry import DATASETS
from .tensors import TensorRows, image_tensors
from .words import encode_labels, read_words, word_column

__all__ = [
    "DATASETS",
    "CADIMDb",
    "CADIMDbConfig",
    "CivilComments",
    "CivilCommentsConfig",
    "ColoredMNIST",
    "ColoredMNISTConfig",
    "PunctuatedSST2",
    "PunctuatedSST2Config",
    "ReadOptions",
    "TensorRows",
    "encode_labels",
    "image_tensors",
    "load_own",
    "open_dataset",
    "open_splits",
    "read_table",
    "read_words",
    "word_column",
]
