"""A pretrained encoder with a new head: which one, and how much of it is trained."""

from __future__ import annotations

import logging
from typing import Any

from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, BertForSequenceClassification
from transformers.utils import logging as transformers_logging

from .pretrained import MINILM, MINILM_ON_HUB, resolve_model
from .reading import readable
from .sentence_encoder import add_mean_pooling, is_mean_pooled


logger = logging.getLogger(__name__)


def load_classifier(name: str, labels: list[str], mean_pooling: bool = True) -> Any:
    """
    Any `AutoModelForSequenceClassification`, with a new head. A BERT that was trained as a mean-pooled sentence
    encoder keeps that pooling, see [`add_mean_pooling`], unless `mean_pooling` is false: adapters are saved without
    the model that they adapt, so it must be the one that its name stands for. A head for as many classes that the
    checkpoint has is kept, one for others is replaced, with a warning.

    Raises:
        ValueError: its files are damaged, or parts of the encoder are not among the weights.
        OSError: it cannot be found or reached.
    """
    path = resolve_model(name)
    with readable(name, "config"):
        config = AutoConfig.from_pretrained(path)
    has_head = any(kind.endswith("ForSequenceClassification") for kind in config.architectures or [])
    if has_head and config.num_labels != len(labels):
        logger.warning(
            "%s tells %d classes apart, and there are %d here: its head is replaced by a new one.",
            name,
            config.num_labels,
            len(labels),
        )
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # The head is new by intention: no report of what the checkpoint lacks.
    try:
        with readable(name, "weights"):
            model, loaded = AutoModelForSequenceClassification.from_pretrained(
                path,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: k for k, label in enumerate(labels)},
                ignore_mismatched_sizes=has_head and config.num_labels != len(labels),
                output_loading_info=True,
            )
    finally:
        transformers_logging.set_verbosity(verbosity)
    inside = f"{model.base_model_prefix}."
    lacking = sorted(key for key in loaded["missing_keys"] if key.startswith(inside) and ".pooler." not in key)
    if lacking:
        raise ValueError(
            f"The weights of {name} are not whole, {len(lacking)} of its encoder lack ({lacking[0]}): save or "
            "download the checkpoint again."
        )
    if name == MINILM:
        # The name under which everybody can have it, for cards and for adapters, which are loaded onto it.
        model.name_or_path = model.config.name_or_path = MINILM_ON_HUB
    if mean_pooling and isinstance(model, BertForSequenceClassification) and is_mean_pooled(path):
        add_mean_pooling(model)
    return model


def choose_trainable(model: Any, trainable: str, lora_rank: int = 8) -> Any:
    """
    Freeze what is not to be trained.

    Args:
        model: a classifier.
        trainable (`str`): `"all"`, `"head"` (whatever follows the encoder), `"top:2"` (the head and the encoder's last
            two layers), or `"lora"` (low-rank adapters and the head; needs `peft`).
        lora_rank (`int`, *optional*, defaults to 8): rank of the adapters.

    Raises:
        ValueError: another word, or more layers than there are.
    """
    if trainable == "all":
        return model
    if trainable == "lora":
        from peft import LoraConfig, get_peft_model

        # All of the head is new, which is one module in some models and two in others: it is saved with the adapters.
        head = [k for k, part in model.named_children() if k != model.base_model_prefix and list(part.parameters())]
        config = LoraConfig(r=lora_rank, lora_alpha=2 * lora_rank, task_type="SEQ_CLS", modules_to_save=head)
        return get_peft_model(model, config)
    kind, _, number = trainable.partition(":")
    if kind not in ("head", "top") or (kind == "top" and not number.isdigit()) or (kind == "head" and number):
        raise ValueError(f"trainable={trainable!r} is refused: use all, head, top:1 (or more layers) or lora.")
    base = model.base_model
    encoder = getattr(base, "encoder", None) or getattr(base, "transformer", None)
    stacks = [] if encoder is None else [m for m in encoder.children() if isinstance(m, nn.ModuleList)]
    layers = list(stacks[0]) if stacks else []
    top = int(number) if kind == "top" else 0
    if encoder is None or top > len(layers):
        raise ValueError(f"trainable={trainable!r}: {type(model).__name__} has {len(layers)} layers to choose from.")
    for part in (base.embeddings, encoder):
        part.requires_grad_(False)
    for layer in layers[len(layers) - top :]:
        layer.requires_grad_(True)
    return model
