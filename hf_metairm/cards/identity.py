"""Which model a card is about: its name, what it was made from, and what it is for."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..names import one_line
from . import text as write
from .facts import CardDetails, CardFacts, as_list


WHAT = {
    "text-classification": "A text classifier",
    "image-classification": "An image classifier",
    "token-classification": "A classifier of tokens",
    "text-generation": "A language model",
}
TASK_OF_CLASS = {
    "ForSequenceClassification": "text-classification",
    "ForImageClassification": "image-classification",
    "ForTokenClassification": "token-classification",
    "ForCausalLM": "text-generation",
}


class Identity:
    """
    The model of a card.

    Args:
        facts ([`CardFacts`]), details ([`CardDetails`]): what is known, and what was told.
    """

    def __init__(self, facts: CardFacts, details: CardDetails):
        self.facts, self.details, self.model = facts, details, facts.model
        self.peft = hasattr(self.model, "peft_config")
        self.core: Any = self.model.get_base_model() if self.peft else self.model
        self.config: Any = getattr(self.core, "config", None)
        self.class_name = type(self.core).__name__
        # The Auto class that the model's own code is saved for.
        self.auto_class: str | None = getattr(self.core, "_auto_class", None)
        self.labels: dict[int, str] = dict(getattr(self.config, "id2label", None) or {})

    @cached_property
    def name(self) -> str:
        """As given, or that of the repository or of the output folder, on one line."""
        repository = (self.facts.repository or "").split("/")[-1]
        given = self.details.model_name or repository or Path(self.facts.args.output_dir).resolve().name
        return one_line(given) or "model"

    @property
    def model_id(self) -> str:
        """The repository, or until there is one the name."""
        return self.facts.repository or self.name

    @cached_property
    def base_model(self) -> str | None:
        """Name of the base model on the Hub; a folder's is nobody else's business."""
        loaded = next(iter(self.model.peft_config.values())).base_model_name_or_path if self.peft else None
        name = self.details.finetuned_from or loaded or getattr(self.config, "_name_or_path", None)
        return name if name and not os.path.exists(name) and is_repository(name) else None

    @property
    def origin(self) -> str:
        """What training began with, as Markdown."""
        if self.base_model:
            return write.code(self.base_model)
        if getattr(self.config, "_name_or_path", None):
            return "a model from a folder, whose name on the Hub was not given"
        return "none: training began with new weights" if self.config is not None else "not known to the Trainer"

    @cached_property
    def task(self) -> str | None:
        """The pipeline tag: as given, or what the model's class is for."""
        main = getattr(self.core, "main_input_name", None)
        if self.details.tasks:
            return as_list(self.details.tasks)[0]
        if main == "pixel_values" and self.labels:
            return "image-classification"
        if main == "input_ids" and self.auto_class:
            return "text-classification"
        return next((task for end, task in TASK_OF_CLASS.items() if self.class_name.endswith(end)), None)

    @property
    def datasets(self) -> list[str]:
        """Names on the Hub of the training data: as given, as called in the text, or where they were loaded from."""
        named = [name for name in as_list(self.details.dataset) if name.count("/") == 1 and is_repository(name)]
        return as_list(self.details.dataset_tags) or named or self.facts.datasets

    @property
    def what(self) -> str:
        """What it is, as the beginning of a sentence."""
        adapters = ", as adapters" if self.peft else ""
        return f"{WHAT.get(self.task or '', 'A model')} ({write.code(self.class_name)}{adapters})"

    @property
    def parameters(self) -> tuple[int, int]:
        """How many there are, and how many of them were trained."""
        every = list(self.model.parameters())
        return sum(p.numel() for p in every), sum(p.numel() for p in every if p.requires_grad)


def is_repository(name: str) -> bool:
    """Whether a name can be one on the Hub."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True
