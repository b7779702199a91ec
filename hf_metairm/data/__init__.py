"""Datasets with environments: people's own files, and builders whose spurious cue follows the label more or less.

The public names are imported on first use; `__init__.pyi` says where they come from.
"""

from __future__ import annotations

import importlib
from typing import Any


_MODULE_OF = {
    "DATASETS": "registry",
    "CADIMDb": "builders.cad_imdb",
    "CADIMDbConfig": "builders.cad_imdb",
    "CivilComments": "builders.civil_comments",
    "CivilCommentsConfig": "builders.civil_comments",
    "ColoredMNIST": "builders.colored_mnist",
    "ColoredMNISTConfig": "builders.colored_mnist",
    "PunctuatedSST2": "builders.punctuated_sst2",
    "PunctuatedSST2Config": "builders.punctuated_sst2",
    "TensorRows": "tensors",
    "image_tensors": "tensors",
    "ReadOptions": "files",
    "encode_labels": "words",
    "load_own": "own",
    "open_dataset": "opening",
    "open_splits": "opening",
    "read_table": "files",
    "read_words": "words",
    "word_column": "words",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
