"""
The reference model of an inferred split: its logits for rows that it was not fitted to.

A model that has learned a row by heart gets it right, whatever the cue says, and its errors are then noise. So rows
are judged in five-fold cross-fitting, equal rows in one fold, by a linear model with a penalty that leaves it little
beside the strongest signal, which is what a shortcut is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import TensorRows
from ..inspection.bag_of_words import WordsOfTexts
from ..inspection.regression import FOLDS, Dense, Features, cross_fitted
from ..inspection.texts import surface_of
from ..models.classification_head import find_head, head_inputs
from ..models.reading import check_model, cut_to, load_tokenizer
from ..models.text_classifier import load_classifier


RIDGES = (0.1, 0.01)  # per row


def reference_logits(features: Features, labels: np.ndarray, folds: np.ndarray) -> Tensor:
    """
    Log-likelihoods of a cross-fitted softmax regression, float32 of shape (n, K). Of the two penalties the one that
    tells more held-out labels rightly: the weaker one where there are many weak signals and none that is strong.

    Args:
        features ([`Features`]): of n rows.
        labels (`np.ndarray`): integers of shape (n,), 0 … K − 1.
        folds (`np.ndarray`): integers of shape (n,).
    """
    found = [cross_fitted(features, labels, folds, ridge=ridge * len(labels)) for ridge in RIDGES]
    target = torch.from_numpy(labels.astype(np.int64))
    return max(found, key=lambda told: int((told.argmax(1) == target).sum()))


def draw_folds(rows: Sequence[Any], seed: int) -> np.ndarray:
    """
    Five folds at random, rows that are equal in the same one: int64 of shape (n,).

    Args:
        rows (`Sequence`): n hashable values.
        seed (`int`): of the draw.
    """
    place: dict[Any, int] = {}
    group = np.array([place.setdefault(row, len(place)) for row in rows], np.int64)
    return (np.random.default_rng(seed).permutation(len(place)) % FOLDS)[group]


def features_of_texts(texts: Sequence[str]) -> Features:
    """Words, marks and tags, and what texts start with and end in."""
    return WordsOfTexts(texts, surface_of)


def features_of_tensors(rows: TensorRows, label_column: str) -> Features | None:
    """All numbers that the rows have beside their labels; `None` if there are none."""
    columns = [rows[name] for name in rows.column_names if name != label_column]
    numbers = [column.flatten(1) for column in columns if torch.is_tensor(column) and column.dim() > 1]
    return Dense(torch.cat(numbers, 1)) if numbers else None


def features_of_encoder(name: str, labels: list[str], texts: Sequence[str], say: Callable[[str], None]) -> Features:
    """
    What a pretrained encoder, which stays as it is, puts out for texts.

    Args:
        name (`str`): `"minilm"`, a folder, or a name on the Hub.
        labels (`list[str]`): of the classes.
        texts (`Sequence[str]`): equal ones are encoded once.
        say (`Callable`): takes a line.
    """
    check_model(name)
    tokenizer, model = load_tokenizer(name), load_classifier(name, labels)
    length = min(tokenizer.model_max_length, 128)
    tokenizer.model_max_length = length
    cut_to(tokenizer, model)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    say(f"Encoding {len(set(texts)):,} texts.")
    return Dense(head_inputs(model, find_head(model, tokenizer), tokenizer, texts, max_length=length))
