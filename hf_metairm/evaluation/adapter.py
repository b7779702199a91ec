"""A text classifier of which only a `peft` adapter is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification
from transformers.utils import cached_file, logging

from ..models.class_names import CLASS_NAMES
from ..models.pretrained import MINILM, MINILM_ON_HUB, resolve_model
from ..models.reading import file_of, readable


def load_adapter(name: str) -> Any:
    """
    Load a `peft` adapter, from a folder or the Hub, onto the model that it adapts.

    Raises:
        ValueError: it is of another task than sequence classification.
        ImportError: `peft` is not installed.
    """
    try:
        from peft import PeftConfig, PeftModel
    except ImportError:
        raise ImportError(f"{name} is an adapter, which needs peft: pip install 'hf_metairm[peft]'.") from None
    config = PeftConfig.from_pretrained(name)
    if config.task_type != "SEQ_CLS":
        raise ValueError(
            f"{name} is an adapter for {config.task_type}, not for the classification of texts (SEQ_CLS)."
        )
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # The head comes with the adapter: no report of what the base lacks.
    try:
        base = _base(str(config.base_model_name_or_path), _classes(name, config))
        _name_classes(base, name)
    finally:
        logging.set_verbosity(verbosity)
    with readable(name, "weights"):
        return PeftModel.from_pretrained(base, name)


def _base(name: str, classes: int) -> Any:
    try:
        return AutoModelForSequenceClassification.from_pretrained(name, num_labels=classes)
    except OSError:
        if name != MINILM_ON_HUB:
            raise
        return AutoModelForSequenceClassification.from_pretrained(resolve_model(MINILM), num_labels=classes)


def _name_classes(base: Any, name: str) -> None:
    """As the list says that our Trainers save beside an adapter."""
    file = file_of(name, CLASS_NAMES)
    if file:
        with readable(name, "list of classes"):
            names = list(map(str, json.loads(Path(file).read_text(encoding="utf-8"))))
        if len(names) == base.config.num_labels:
            base.config.id2label = dict(enumerate(names))
            base.config.label2id = {label: k for k, label in enumerate(names)}


def _classes(name: str, config: Any) -> int:
    """The height of the head that was saved: the adapter's own config does not say how many classes there are."""
    from safetensors import safe_open

    heads = config.modules_to_save or []
    with readable(name, "weights"), safe_open(str(cached_file(name, "adapter_model.safetensors")), "pt") as weights:
        names = [name for name in list(weights.keys()) if any(f".{head}." in name for head in heads)]
        shapes = [weights.get_slice(name).get_shape() for name in names]
    heights: list[int] = [shape[0] for shape in shapes if len(shape) == 2]
    if not heights:
        raise ValueError(f"{name} has no classification head: it was not among the adapter's modules_to_save.")
    return min(heights)
