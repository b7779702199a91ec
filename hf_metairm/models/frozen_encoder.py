"""Train a classification head on what a frozen encoder puts out, computed once instead of at every step.

The model stays the whole model, its checkpoints too: while the encoder is skipped, its parameters are where they
were, and only its forward pass is not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions


def _parts(model: PreTrainedModel) -> tuple[nn.Module, nn.Module]:
    """The embeddings and the stack of layers of a text model."""
    base = model.base_model
    layers = getattr(base, "encoder", None) or getattr(base, "transformer", None)
    embeddings = getattr(base, "embeddings", None)
    if layers is None or embeddings is None:
        raise ValueError(
            f"{type(model).__name__} does not keep its encoder where it can be skipped: train more than its head "
            "(trainable=all, top:1 or lora)."
        )
    return embeddings, layers


@contextmanager
def encoder_skipped(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """
    While open, `model(inputs_embeds=x)` takes x, of shape (n, 1, hidden), for the encoder's output at the first token.
    """
    embeddings, layers = _parts(model)
    embeddings.forward = lambda *args, inputs_embeds=None, **kwargs: inputs_embeds
    layers.forward = lambda x, *args, **kwargs: BaseModelOutputWithPastAndCrossAttentions(x)
    try:
        yield model
    finally:
        # The instance's attribute hid the class's method; without it that is back.
        del embeddings.forward, layers.forward


@torch.no_grad()
def encode_sentences(
    model: PreTrainedModel, tokenizer: Any, sentences: Sequence[str], max_length: int = 128, batch_size: int = 64
) -> dict[str, Tensor]:
    """
    The encoder's output at the first token, for each distinct sentence, with a progress bar.

    Args:
        model (`PreTrainedModel`): a classifier whose head looks at the first token alone, as BERT's, RoBERTa's,
            DistilBERT's and ELECTRA's do.
        tokenizer: its tokenizer.
        sentences (`Sequence[str]`): duplicates are encoded once.
        max_length (`int`, *optional*, defaults to 128): in tokens; longer sentences are cut.
        batch_size (`int`, *optional*, defaults to 64): sentences in one forward pass.

    Returns:
        `dict[str, Tensor]`: by sentence, float tensors of shape (1, hidden) on the CPU.

    Raises:
        ValueError: the head looks at more than the first token, so that the shortcut would change its answers.
    """
    distinct = sorted(set(sentences), key=lambda s: (len(s), s))
    was_training, device = model.training, model.device
    model.eval()
    found: dict[str, Tensor] = {}
    kept: list[Tensor] = []
    handle = _parts(model)[1].register_forward_hook(lambda *call: kept.append(call[-1].last_hidden_state[:, :1]))
    try:
        with tqdm(total=len(distinct), desc="Encoding", unit=" sentences", mininterval=1.0) as progress:
            for start in range(0, len(distinct), batch_size):
                part = distinct[start : start + batch_size]
                tokens = tokenizer(part, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
                logits = model(**tokens.to(device)).logits
                output = kept.pop()
                if start == 0:
                    _check_shortcut(model, output, logits, handle)
                found.update(zip(part, output.cpu()))
                progress.update(len(part))
    finally:
        handle.remove()
        model.train(was_training)
    return found


def _check_shortcut(model: PreTrainedModel, output: Tensor, logits: Tensor, handle: Any) -> None:
    with encoder_skipped(model):
        short = model(inputs_embeds=output).logits
    if not torch.allclose(short, logits, atol=1e-4):
        raise ValueError(
            f"The head of {type(model).__name__} looks at more than the encoder's first token, so it cannot be "
            "trained on that alone: train more than the head (trainable=all, top:1 or lora)."
        )
