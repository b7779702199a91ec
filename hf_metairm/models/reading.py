"""Read a pretrained model's files, and say in one sentence what is wrong with them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from transformers import AutoTokenizer
from transformers.utils import cached_file

from .pretrained import resolve_model


TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)


def check_model(name: str) -> None:
    """
    Raises:
        FileNotFoundError: the name is of no folder with a model, and of no model on the Hub that can be reached.
    """
    path = resolve_model(name)
    check_name(path)
    if not file_of(path, "config.json") and not file_of(path, "adapter_config.json"):
        if Path(path).is_dir():
            raise FileNotFoundError(f"{name} is no model: there is no config.json in it.")
        offline = "; HF_HUB_OFFLINE is set, so it was not asked" if constants.HF_HUB_OFFLINE else ""
        raise FileNotFoundError(f"{name} is neither a folder nor a model that the Hub is known to have{offline}.")


def check_name(name: str) -> None:
    """Refuse what is neither a folder nor can be a name on the Hub."""
    if not Path(name).is_dir() and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise FileNotFoundError(f"There is no folder {name}, and it cannot be the name of a model on the Hub.")


@contextmanager
def readable(name: str, what: str) -> Iterator[None]:
    """Say in one sentence which file of a checkpoint is damaged; each library has its own kind of error for that."""
    try:
        yield
    except (OSError, ImportError):
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"The {what} of {name} cannot be read ({first}): save or download the checkpoint again."
        ) from error


def file_of(name: str, file: str) -> str | None:
    """Where a file of the checkpoint lies on this machine; `None` if it has none of that name."""
    return cached_file(name, file, _raise_exceptions_for_missing_entries=False)


def load_tokenizer(name: str) -> Any:
    """
    A model's tokenizer, from a folder or the Hub, or `"minilm"`'s.

    Raises:
        ValueError: it is missing or damaged. What transformers would make of nothing, or of a config alone, knows no
            word.
        OSError: it cannot be found or reached.
    """
    path = resolve_model(name)
    if not any(file_of(path, file) for file in TOKENIZER_FILES):
        raise ValueError(f"{name} has no tokenizer: save it beside the model with tokenizer.save_pretrained.")
    with readable(name, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(path)
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ValueError(f"The tokenizer of {name} has no vocabulary: save or download the checkpoint again.")
    return tokenizer


def cut_to(tokenizer: Any, model: Any) -> None:
    """Have a tokenizer cut texts to what the model reads, if it does not cut them before."""
    tokenizer.model_max_length = min(tokenizer.model_max_length, most_tokens(model) or sys.maxsize)


def most_tokens(model: Any) -> int | None:
    """How many tokens of a text the model has positions for; `None` where it takes any number."""
    positions = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.num_embeddings - module.padding_idx - 1)  # RoBERTa and its kin count from there
    return positions if isinstance(positions, int) and positions > 0 else None
