"""A classifier that predicts the rows of a dataset."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import datasets
import numpy as np
import torch
from PIL.Image import Image

from ..data.tensors import image_tensors
from ..data.words import text_column
from ..models.reading import most_tokens
from .counting import counting
from .files import Record


COLUMNS = {"text": ("sentence", "text"), "image": ("image", "img")}
MANY = 1_000_000  # tokens, for models and tokenizers that know no bound


@dataclass
class Classifier:
    """
    A model that tells classes apart, with what makes its inputs.

    Args:
        name (`str`): of the checkpoint.
        kind (`str`): `"text"` or `"image"`.
        model (`torch.nn.Module`): on its device, in evaluation mode.
        processor: the tokenizer or image processor; `None` for the model of Colored MNIST, which takes pixels.
        labels (`list[str]`): its classes in order; `LABEL_0` and so on where nobody says what they are called.
        record ([`Record`]): what its card says of its training.
    """

    name: str
    kind: str
    model: Any
    processor: Any
    labels: list[str]
    record: Record

    @cached_property
    def most_tokens(self) -> int | None:
        """How many tokens of a text the model has positions for; `None` where it takes any number."""
        return most_tokens(self.model)

    @cached_property
    def longest(self) -> int:
        """How many tokens of a text are read: what its tokenizer was saved with, and no more than the model takes."""
        return int(min(self.most_tokens or MANY, self.processor.model_max_length, MANY))

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
    def logits(
        self, rows: datasets.Dataset, column: str, batch_size: int = 64, max_length: int | None = None
    ) -> np.ndarray:
        """
        The logits of each row, float32 of shape (rows, classes); what is done is counted on stderr.

        Raises:
            ValueError: some are no numbers, or the model has no positions for `max_length` tokens.
        """
        if max_length is not None and not 1 <= max_length <= (self.most_tokens or max_length):
            raise ValueError(f"--max_length {max_length}: give a number from 1 to {self.most_tokens or MANY}.")
        if self.processor is None:
            pixels = self._pixels(rows, column)
        inputs = rows.select_columns([column])  # So that a batch decodes nothing else.
        if self.kind == "text":
            inputs = text_column(inputs, column)
        device, found = next(self.model.parameters()).device, []
        with counting(len(rows)) as count:
            for start in range(0, len(rows), batch_size):
                stop = min(start + batch_size, len(rows))
                if self.processor is None:
                    batch = {"pixel_values": pixels[start:stop]}
                else:
                    batch = self._prepared(inputs[start:stop][column], column, max_length)
                logits = self.model(**{name: values.to(device) for name, values in batch.items()}).logits
                found.append(logits.float().cpu())
                count(stop - start)
        every = torch.cat(found)
        wrong = int((~every.isfinite().all(-1)).sum())
        if wrong:
            raise ValueError(
                f"{self.name} gives NaN or infinity for {wrong:,} of {len(every):,} rows ({wrong / len(every):.1%}): "
                "its training diverged, or its weights are damaged; give another checkpoint."
            )
        return every.numpy()

    def _prepared(self, values: list[Any], column: str, max_length: int | None) -> dict[str, torch.Tensor]:
        if self.kind == "image":
            if not all(isinstance(image, Image) for image in values):
                raise ValueError(f"The column {column!r} holds something else than images, or rows without one.")
            images = [image.convert("RGB") for image in values]
            return dict(self.processor(images, return_tensors="pt"))
        if self.processor.pad_token is None and len(values) > 1:
            raise ValueError(f"The tokenizer of {self.name} has no padding token: give --batch_size 1.")
        tokens = self.processor(
            values,
            truncation=True,
            max_length=max_length or self.longest,
            padding=len(values) > 1,
            return_tensors="pt",
        )
        plain = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        known = inspect.signature(plain.forward).parameters
        return {name: ids for name, ids in tokens.items() if name in known}

    def _pixels(self, rows: datasets.Dataset, column: str) -> torch.Tensor:
        """The images of Colored MNIST as one plane for each colour, float of shape (rows, colours, height, width)."""
        config = self.model.config
        kept = [column, *(["color"] if "color" in rows.column_names and config.channels > 1 else [])]
        # Which rows these are is known already; the two columns are what `image_tensors` wants beside the image.
        labels = datasets.ClassLabel(names=[str(k) for k in range(config.num_labels)])
        images = rows.select_columns(kept).rename_columns({column: "image"} if column != "image" else {})
        images = images.add_column("label", [0] * len(rows)).cast_column("label", labels)
        images = images.add_column("environment", [""] * len(rows))
        pixels: torch.Tensor = image_tensors(images)["pixel_values"]
        wanted = (config.channels, config.image_size, config.image_size)
        if tuple(pixels.shape[1:]) != wanted:
            raise ValueError(
                f"{self.name} takes images of {'×'.join(map(str, wanted))} and the dataset's are "
                f"{'×'.join(map(str, pixels.shape[1:]))}: give the config and the columns that it was trained on."
            )
        return pixels
