"""A classifier from a folder or the Hub, whichever kind it is, and its predictions."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import cached_file

from ..data.tensors import image_tensors
from ..models import ColoredMNISTClassifier
from .adapter import load_adapter


COLUMNS = {"text": ("sentence", "text"), "image": ("image", "img")}


@dataclass
class Classifier:
    """
    A model that tells classes apart, with what makes its inputs.

    Args:
        name (`str`): of the checkpoint.
        kind (`str`): `"text"` or `"image"`.
        model (`torch.nn.Module`): on its device, in evaluation mode.
        processor: the tokenizer or image processor; `None` for the model of Colored MNIST, which takes pixels.
    """

    name: str
    kind: str
    model: Any
    processor: Any

    @property
    def id2label(self) -> dict[int, str]:
        """The model's classes by id, in order."""
        return {k: self.model.config.id2label[k] for k in range(self.model.config.num_labels)}

    def input_column(self, rows: datasets.Dataset, text_column: str | None, image_column: str | None) -> str:
        """The column that the model reads: the one asked for, or one of the usual names."""
        given = text_column if self.kind == "text" else image_column
        names = (given,) if given is not None else COLUMNS[self.kind]
        found = next((name for name in names if name in rows.column_names), None)
        if found is None:
            raise ValueError(
                f"The model reads {self.kind}s, and the dataset has no column {' or '.join(map(repr, names))} (its "
                f"columns: {', '.join(rows.column_names)}): name it with --{self.kind}_column."
            )
        return found

    @torch.no_grad()
    def predict(
        self, rows: datasets.Dataset, column: str, batch_size: int = 64, max_length: int | None = None
    ) -> np.ndarray:
        """The class id predicted for each row, int64 of shape (rows,); a progress bar shows on a terminal."""
        if self.processor is None:
            pixels = self._pixels(rows, column)
        inputs = rows.select_columns([column])  # So that a batch decodes nothing else.
        device, found = next(self.model.parameters()).device, []
        with tqdm(total=len(rows), desc="Evaluating", unit=" rows", disable=None, leave=False) as bar:
            for start in range(0, len(rows), batch_size):
                stop = min(start + batch_size, len(rows))
                if self.processor is None:
                    batch = {"pixel_values": pixels[start:stop]}
                else:
                    batch = self._prepared(inputs[start:stop][column], column, max_length)
                logits = self.model(**{name: values.to(device) for name, values in batch.items()}).logits
                found.append(logits.argmax(-1).cpu())
                bar.update(stop - start)
        return torch.cat(found).numpy()

    def _prepared(self, values: list, column: str, max_length: int | None) -> dict[str, torch.Tensor]:
        wrong = next((v for v in values if v is None or (self.kind == "text" and not isinstance(v, str))), "")
        if wrong != "":
            raise ValueError(f"The column {column!r} holds {wrong!r} where the model reads {self.kind}s.")
        if self.kind == "image":
            images = [image.convert("RGB") for image in values]
            return dict(self.processor(images, return_tensors="pt"))
        if self.processor.pad_token is None and len(values) > 1:
            raise ValueError(f"The tokenizer of {self.name} has no padding token: give --batch_size 1.")
        limit = getattr(self.model.config, "max_position_embeddings", self.processor.model_max_length)
        tokens = self.processor(
            values,
            truncation=True,
            max_length=max_length or min(limit, self.processor.model_max_length, 1_000_000),
            padding=len(values) > 1,
            return_tensors="pt",
        )
        known = inspect.signature(_plain(self.model).forward).parameters
        return {name: ids for name, ids in tokens.items() if name in known}

    def _pixels(self, rows: datasets.Dataset, column: str) -> torch.Tensor:
        """The images of Colored MNIST as one plane for each colour, float of shape (rows, colours, height, width)."""
        config = self.model.config
        kept = [column, *(["color"] if "color" in rows.column_names and config.channels > 1 else [])]
        # Which rows these are is known already; the two columns are what `image_tensors` wants beside the image.
        labels = datasets.ClassLabel(names=[str(name) for name in self.id2label.values()])
        images = rows.select_columns(kept).rename_columns({column: "image"} if column != "image" else {})
        images = images.add_column("label", [0] * len(rows)).cast_column("label", labels)
        images = images.add_column("environment", [""] * len(rows))
        pixels = image_tensors(images)["pixel_values"]
        wanted = (config.channels, config.image_size, config.image_size)
        if tuple(pixels.shape[1:]) != wanted:
            raise ValueError(
                f"{self.name} takes images of {'×'.join(map(str, wanted))} and the dataset's are "
                f"{'×'.join(map(str, pixels.shape[1:]))}: give the config and the columns that it was trained on."
            )
        return pixels


def load_checkpoint(name: str, device: str | None = None) -> Classifier:
    """
    Load a classifier from a folder or the Hub: of text, of images, or a `peft` adapter of one of text.

    Raises:
        ValueError: it is no classifier, its tokenizer or image processor is missing, or there is no such device.
        OSError: it cannot be found or reached.
    """
    place = _device(device)
    if not Path(name).is_dir() and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise FileNotFoundError(f"There is no folder {name}, and it cannot be the name of a model on the Hub.")
    if _file(name, "adapter_config.json"):
        kind, model = "text", load_adapter(name)
    elif _file(name, "config.json"):
        config = AutoConfig.from_pretrained(name)
        kind, auto_class = _kind(config, name)
        model = auto_class.from_pretrained(name)
    else:
        raise FileNotFoundError(f"{name} is no checkpoint: it has neither a config.json nor an adapter_config.json.")
    problem = getattr(model.config, "problem_type", None)
    if model.config.num_labels < 2 or problem in ("regression", "multi_label_classification"):
        raise ValueError(f"{name} is no classifier of one class out of several ({problem or 'a single output'}).")
    return Classifier(name, kind, model.to(place).eval(), _processor(name, kind, model))


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"--device {name} cannot be used here: give cpu, or cuda where there is a GPU.") from error
    return device


def _kind(config: Any, name: str) -> tuple[str, Any]:
    """Whether a model's config says that it classifies text or images; a head that would be made anew is refused."""
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
    auto_class, what = (AutoTokenizer, "tokenizer") if kind == "text" else (AutoImageProcessor, "image processor")
    files = ("tokenizer_config.json", "tokenizer.json") if kind == "text" else ("preprocessor_config.json",)
    if not any(_file(name, file) for file in files):
        raise ValueError(
            f"{name} has no {what}: save it beside the model with {what.replace('image ', '')}.save_pretrained, or "
            "give the Trainer a processing_class."
        )
    return auto_class.from_pretrained(name)


def _file(name: str, file: str) -> str | None:
    return cached_file(name, file, _raise_exceptions_for_missing_entries=False)


def _plain(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model
