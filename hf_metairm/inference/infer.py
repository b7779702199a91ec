"""Two environments for rows that no column divides."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import datasets
import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..data import TensorRows
from ..data.words import check_columns, encode_labels
from ..data.words import text_column as as_texts
from ..evaluation.classifier import Classifier
from ..evaluation.files import Record
from ..inspection.regression import Features
from ..models import ColoredMNISTClassifier
from .held_out import SIGNIFICANT, HeldOut, judge_split
from .reference import draw_folds, features_of_encoder, features_of_tensors, features_of_texts, reference_logits
from .split import METHODS


logger = logging.getLogger(__name__)

REGRESSION = "regression"
NAMES = ("against", "with")  # the reference model
FEWEST_ROWS, ROWS_AT_ONCE = 50, 4096
Rows = TypeVar("Rows", datasets.Dataset, TensorRows)


@dataclass
class InferredEnvironments:
    """
    What [`infer_environments`] found.

    Args:
        dataset (`datasets.Dataset` or `TensorRows`): the rows, with one column more.
        column (`str`): its name.
        text_column (`str`, *optional*): where the texts of the rows are.
        method (`str`): `"eiil"` or `"jtt"`.
        rows (`dict[str, int]`): by environment: `"against"` and `"with"` the reference model.
        held_out ([`HeldOut`]): whether the split is better than chance.
        warnings (`list[str]`): one sentence each.
    """

    dataset: Any
    column: str
    text_column: str | None
    method: str
    rows: dict[str, int]
    held_out: HeldOut
    warnings: list[str] = field(default_factory=list)


def infer_environments(
    model: str | torch.nn.Module,
    dataset: Rows,
    *,
    method: str = "eiil",
    column: str = "environment",
    label_column: str | None = None,
    text_column: str | None = None,
    processing_class: Any = None,
    seed: int = 0,
    say: Callable[[str], None] = logger.info,
) -> InferredEnvironments:
    """
    Divide rows without an environment column into two environments: with and against a reference model.

    Args:
        model (`str` or `torch.nn.Module`):
            The reference. `"regression"`: a cross-fitted softmax regression on the words and marks of texts, or on all
            numbers of tensors. `"minilm"`, a folder or a name on the Hub: the same on what that encoder puts out. A
            classifier of your own, which should not have been trained on these rows for long.
        dataset (`datasets.Dataset` or `TensorRows`):
            The rows.
        method (`str`, *optional*, defaults to `"eiil"`):
            `"eiil"`, the split that violates invariance most, or `"jtt"`, the rows that the reference gets wrong. With
            two classes these are the same.
        column (`str`, *optional*, defaults to `"environment"`):
            The new column.
        label_column (`str`, *optional*):
            The class; `"label"` or `"labels"` by default.
        text_column (`str`, *optional*):
            The text; `"sentence"` or `"text"` by default.
        processing_class (*optional*):
            The tokenizer or image processor of a `model` of your own, where `dataset` is no `TensorRows`.
        seed (`int`, *optional*, defaults to 0):
            Of the draw of folds.
        say (`Callable`, *optional*):
            Takes a line where something takes long.

    Returns:
        [`InferredEnvironments`].

    Raises:
        ValueError: the column is there already, no labels, one class, too few rows, nothing to read them by, logits
            that are not finite, or an environment without rows.

    Example:

    ```py
    >>> found = infer_environments("regression", dataset)
    >>> found.rows, found.warnings
    ({'against': 1062, 'with': 5938}, [])
    >>> trainer = MetaIRMTrainer(model, args, train_dataset=found.dataset)
    ```
    """
    split = METHODS.get_or_refuse(method)
    if column in dataset.column_names:
        raise ValueError(
            f"There is a column {column!r} already: train with it as it is, or give the new one another name with "
            "--environment_column."
        )
    if label_column is None:
        label_column = "labels" if "label" not in dataset.column_names and isinstance(dataset, TensorRows) else "label"
    labels, names = _labels(dataset, label_column)
    text_column = _text_column(dataset, text_column)
    texts = _texts(dataset, text_column)
    features = _features(model, dataset, label_column, names, texts, say)
    folds = draw_folds(list(range(len(labels))) if texts is None else texts, seed)
    if isinstance(model, str):
        if features is None or not features.count:
            raise ValueError(
                "There is nothing to tell labels by: name the column of the text with --text_column (its words are "
                "read if 5 rows have them), or give a model and what prepares its inputs from Python."
            )
        logits = reference_logits(features, labels, folds)
    else:
        logits = _logits(model, dataset, names, text_column, processing_class)
    against = split(logits, torch.from_numpy(labels)).numpy()
    if not against.any() or against.all():
        raise ValueError(
            f"All {len(against):,} rows are {'against' if against.any() else 'with'} the reference model, so the "
            "other environment would have none: take another reference model, one that has not seen these rows, or "
            "ERM where nothing contradicts it."
        )
    environments = np.where(against, 0, 1)
    rows = dict(zip(NAMES, np.bincount(environments, minlength=2).tolist()))
    held_out = judge_split(logits, labels, environments, NAMES, features, folds)
    words = [NAMES[e] for e in environments]
    divided = _with(dataset, column, words)
    return InferredEnvironments(divided, column, text_column, method, rows, held_out, _warnings(held_out))


def _labels(dataset: Any, column: str) -> tuple[np.ndarray, list[str]]:
    """Classes of the rows, 0 … K − 1, and their names."""
    if column not in dataset.column_names:
        raise ValueError(
            f"There is no column {column!r}; the columns are {', '.join(dataset.column_names)}: environments are "
            "inferred from labels, so name theirs with --label_column."
        )
    if isinstance(dataset, TensorRows):
        codes = dataset[column].numpy().astype(np.int64)
        names = [str(k) for k in range(int(codes.max(initial=0)) + 1)]
    else:
        encoded = encode_labels(datasets.DatasetDict(rows=dataset.with_format(None).select_columns([column])), column)
        codes = np.array(encoded["rows"].with_format("numpy")[column][:], dtype=np.int64)
        names = encoded["rows"].features[column].names
    if len(codes) < FEWEST_ROWS:
        raise ValueError(f"{len(codes):,} rows are too few to infer environments from: give {FEWEST_ROWS} or more.")
    present = np.unique(codes)
    if len(present) < 2:
        raise ValueError(
            f"All rows have the label {names[present[0]]!r}: a model has nothing to tell apart, so no environments "
            "can be inferred."
        )
    return codes, names


def _text_column(dataset: Any, column: str | None) -> str | None:
    """The one asked for, or one of the usual names that is there."""
    if column is not None:
        check_columns(dataset, text_column=column)
        return column
    return next((name for name in ("sentence", "text") if name in dataset.column_names), None)


def _texts(dataset: Any, column: str | None) -> list[str] | None:
    """The texts of rows that have some."""
    if column is None or isinstance(dataset, TensorRows):
        return None
    texts: list[str] = as_texts(dataset.with_format(None).select_columns([column]), column)[column][:]
    return texts


def _features(
    model: Any, dataset: Any, label_column: str, names: list[str], texts: list[str] | None, say: Callable[[str], None]
) -> Features | None:
    """What the rows are told by."""
    if texts is None:
        return features_of_tensors(dataset, label_column) if isinstance(dataset, TensorRows) else None
    if isinstance(model, str) and model != REGRESSION:
        return features_of_encoder(model, names, texts, say)
    return features_of_texts(texts)


@torch.no_grad()
def _logits(model: Any, dataset: Any, names: list[str], text: str | None, processing_class: Any) -> Tensor:
    """Those of a model of the user's, as it stands."""
    was_training = model.training
    model.eval()
    try:
        if not isinstance(dataset, TensorRows):
            plain = processing_class is None and not isinstance(model, ColoredMNISTClassifier)
            if plain:
                raise ValueError("Give the model's tokenizer or image processor as processing_class.")
            kind = "text" if hasattr(processing_class, "pad_token") else "image"
            of = Classifier(type(model).__name__, kind, model, processing_class, names, Record())
            return torch.from_numpy(of.logits(dataset, of.input_column(dataset, text, None)))
        known = set(inspect.signature(model.forward).parameters) - {"labels"}
        device, found = next(model.parameters()).device, []
        for start in range(0, len(dataset), ROWS_AT_ONCE):
            batch: dict[str, Any] = dataset.__getitems__(range(start, min(start + ROWS_AT_ONCE, len(dataset))))
            inputs = {name: values.to(device) for name, values in batch.items() if name in known}
            found.append(model(**inputs).logits.float().cpu())
        return torch.cat(found)
    finally:
        model.train(was_training)


def _with(dataset: Any, column: str, words: list[str]) -> Any:
    if isinstance(dataset, TensorRows):
        return TensorRows({**{name: dataset[name] for name in dataset.column_names}, column: words})
    return dataset.with_format(None).add_column(column, pa.array(words, pa.string()), feature=datasets.Value("string"))


def _warnings(held_out: HeldOut) -> list[str]:
    advice = (
        "Do not train an invariant method on this split: take ERM, or a column that you have (site, annotator, year), "
        "or more rows."
    )
    if held_out.reference.p_value > SIGNIFICANT:
        return [
            f"The split is no better than chance: on held-out rows the reference model tells the label no better than "
            f"guessing ({_said(held_out.reference)}), so its errors are noise. {advice}"
        ]
    lost = {name: told for name, told in held_out.kept.items() if told.p_value > SIGNIFICANT}
    if lost:
        where = " and ".join(f"{name!r} ({_said(told)})" for name, told in lost.items())
        return [
            "The split is no better than chance: on held-out rows nothing beside what the reference model goes by "
            f"tells the label in {where}, so an invariant method would have nothing to keep. {advice}"
        ]
    if not held_out.kept:
        return [
            "Whether anything tells the label in both environments was not tested, for lack of texts or numbers to "
            "read: look at what separates them before you train on this split."
        ]
    return []


def _said(told: Any) -> str:
    return f"{100 * told.accuracy:.1f} %, chance {100 * told.chance:.1f} %, p = {told.p_value:.2g}"
