"""A checkpoint from a folder or the Hub, whichever kind of classifier it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
)

from ..models import ColoredMNISTClassifier
from ..models.class_names import is_nameless
from ..models.reading import check_name, file_of, load_tokenizer, readable
from .adapter import load_adapter
from .classifier import Classifier
from .files import Record, read_record


def load_checkpoint(name: str, device: str | None = None, labels: Sequence[str] | None = None) -> Classifier:
    """
    Load a classifier from a folder or the Hub: of text, of images, or a `peft` adapter of one of text.

    Args:
        name (`str`): of the folder, or on the Hub.
        device (`str`, *optional*): where to; a GPU if there is one, by default.
        labels (`Sequence[str]`, *optional*): what its classes are called, in order; by default what its config or its
            card says.

    Raises:
        ValueError: it is no classifier, its files are damaged, its tokenizer or image processor is missing, `labels`
            are too many or too few, or there is no such device.
        OSError: it cannot be found or reached.
    """
    place = _device(device)
    check_checkpoint(name)
    if file_of(name, "adapter_config.json"):
        kind, model = "text", load_adapter(name)
    else:
        kind, auto_class = _kind(name)
        model = _whole(name, auto_class)
    problem = getattr(model.config, "problem_type", None)
    if model.config.num_labels < 2 or problem in ("regression", "multi_label_classification"):
        raise ValueError(f"{name} is no classifier of one class out of several ({problem or 'a single output'}).")
    record = read_record(name)
    names = _labels(name, model, labels, record)
    return Classifier(name, kind, model.to(place).eval(), _processor(name, kind, model), names, record)


def kind_of(name: str) -> str:
    """
    Whether a checkpoint in a folder or on the Hub reads `"text"` or an `"image"`; its weights are not loaded.

    Raises:
        ValueError: it is no classifier of either.
        OSError: it cannot be found or reached, or is none.
    """
    check_checkpoint(name)
    return "text" if file_of(name, "adapter_config.json") else _kind(name)[0]


def check_checkpoint(name: str) -> None:
    """
    Look whether there is a checkpoint of that name, before anything is loaded.

    Raises:
        OSError: it cannot be found or reached, or is none.
    """
    check_name(name)
    if not file_of(name, "adapter_config.json") and not file_of(name, "config.json"):
        raise FileNotFoundError(f"{name} is no checkpoint: it has neither a config.json nor an adapter_config.json.")


def _whole(name: str, auto_class: Any) -> Any:
    """The model, if its weights are all there: what is lacking would be made anew without a word."""
    with readable(name, "weights"):
        model, loaded = auto_class.from_pretrained(name, output_loading_info=True)
    missing = sorted(loaded["missing_keys"])
    if missing:
        raise ValueError(
            f"The weights of {name} are not whole, {len(missing)} of them lack ({missing[0]}): save or download the "
            "checkpoint again."
        )
    return model


def _labels(name: str, model: Any, given: Sequence[str] | None, record: Record) -> list[str]:
    """What the classes are called: as given, or by the config, or, where that has no names, by the card."""
    own = [str(model.config.id2label[k]) for k in range(model.config.num_labels)]
    if given is None:
        return record.labels if is_nameless(own) and len(record.labels) == len(own) else own
    if len(given) != len(own):
        raise ValueError(
            f"--labels names {len(given)} classes ({', '.join(given)}), and {name} tells {len(own)} apart: name each "
            "of them, in the model's order."
        )
    return list(given)


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"--device {name} cannot be used here: give cpu, or cuda where there is a GPU.") from error
    return device


def _kind(name: str) -> tuple[str, Any]:
    """Whether a model's config says that it classifies text or images; a head that would be made anew is refused."""
    with readable(name, "config"):
        config = AutoConfig.from_pretrained(name)
    saved = set(config.architectures or [])
    for kind, auto_class in (("text", AutoModelForSequenceClassification), ("image", AutoModelForImageClassification)):
        known: Any = auto_class._model_mapping.get(type(config), None)
        if known is not None and known.__name__ in saved:
            return kind, auto_class
    what = ", ".join(saved) or config.model_type
    raise ValueError(
        f"{name} is no text or image classifier but {what}: give a checkpoint with a classification head, such as one "
        "that hf-metairm train writes."
    )


def _processor(name: str, kind: str, model: Any) -> Any:
    if isinstance(model, ColoredMNISTClassifier):
        return None
    if kind == "text":
        return load_tokenizer(name)
    if not file_of(name, "preprocessor_config.json"):
        raise ValueError(f"{name} has no image processor: save it beside the model with processor.save_pretrained.")
    with readable(name, "image processor"):
        return AutoImageProcessor.from_pretrained(name)
