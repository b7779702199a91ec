"""The head of a pretrained classifier: what goes into it, and how a small head that was trained apart is put there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import PreTrainedModel
from transformers.activations import ACT2FN

from .feature_head import FeatureHead


ACTIVATIONS = ("tanh", "relu", "gelu")


@dataclass(frozen=True)
class ClassificationHead:
    """
    A head of the form linear, activation, linear.

    Args:
        dense (`nn.Linear`): the hidden layer; its input is what is called the features of a row.
        out (`nn.Linear`): the last layer.
        activation (`str`): between them, one of `"tanh"`, `"relu"` and `"gelu"`.
    """

    dense: nn.Linear
    out: nn.Linear
    activation: str

    @torch.no_grad()
    def put_in(self, trained: FeatureHead, mean: Tensor, scale: Tensor) -> None:
        """
        Take over a head that was trained on standardized features (x − mean) / scale.

        The standardization is folded into the first layer, whose weights become W / scale and whose bias
        b − W mean / scale. Units that the trained head does not have get weights of 0 in both layers.

        Args:
            trained ([`FeatureHead`]): with the same activation and no more units than `dense` has.
            mean (`Tensor`), scale (`Tensor`): of shape (features,).

        Raises:
            ValueError: the trained head has more units, another activation or other features.
        """
        units = trained.dense.out_features
        if units > self.dense.out_features or trained.dense.in_features != self.dense.in_features:
            raise ValueError(
                f"A head of {units} units on {trained.dense.in_features} features does not fit where "
                f"{self.dense.out_features} units on {self.dense.in_features} features are: choose fewer units."
            )
        if trained.config.activation != self.activation:
            raise ValueError(
                f"The head was trained with {trained.config.activation}, the model has {self.activation}."
            )
        weight = trained.dense.weight / scale
        for layer in (self.dense, self.out):
            layer.weight.zero_()
            layer.bias.zero_()
        self.dense.weight[:units] = weight
        self.dense.bias[:units] = trained.dense.bias - weight @ mean
        self.out.weight[:, :units] = trained.out.weight
        self.out.bias.copy_(trained.out.bias)


@torch.no_grad()
def find_head(model: PreTrainedModel, tokenizer: Any) -> ClassificationHead:
    """
    The head of a text classifier, found by watching it classify two texts: the last two linear layers that see one
    vector for each text. BERT, RoBERTa, MPNet (tanh), DistilBERT (ReLU), ELECTRA and DeBERTa (GELU) have such a one.

    Args:
        model (`PreTrainedModel`): an `AutoModelForSequenceClassification`.
        tokenizer: its tokenizer.

    Raises:
        ValueError: the model's head has another form.
    """
    seen: list[tuple[nn.Linear, Tensor, Tensor]] = []
    handles = [
        layer.register_forward_hook(lambda layer, given, output: seen.append((layer, given[0], output)))
        for layer in model.modules()
        if isinstance(layer, nn.Linear)
    ]
    was_training = model.training
    model.eval()
    try:
        tokens = tokenizer(["a", "a longer sentence"], padding=True, return_tensors="pt").to(model.device)
        model(**tokens)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    last = [(layer, given, output) for layer, given, output in seen if given.dim() == 2 and len(given) == 2][-2:]
    if len(last) == 2 and all(layer.bias is not None for layer, _, _ in last):
        (dense, _, before), (out, after, _) = last
        for activation in ACTIVATIONS:
            if after.shape == before.shape and torch.allclose(ACT2FN[activation](before), after, atol=1e-6):
                return ClassificationHead(dense, out, activation)
    raise ValueError(
        f"The head of {type(model).__name__} is not of the form linear, activation, linear on one vector for each "
        "text (as in BERT, RoBERTa, MPNet, DistilBERT, ELECTRA and DeBERTa), so two stages cannot train it apart: use "
        "such a model, or train in one stage (--stages one)."
    )


@torch.no_grad()
def head_inputs(
    model: PreTrainedModel,
    head: ClassificationHead,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    max_length: int = 128,
    batch_size: int = 64,
    progress: Callable[..., Any] = tqdm,
) -> Tensor:
    """
    The features of texts: what goes into the head of a classifier, without dropout, with a progress bar.

    Args:
        model (`PreTrainedModel`), head ([`ClassificationHead`]), tokenizer: see [`find_head`].
        texts (`Sequence[str]`): duplicates are encoded once.
        max_length (`int`, *optional*, defaults to 128): in tokens; longer texts are cut.
        batch_size (`int`, *optional*, defaults to 64): texts in one forward pass.
        progress (`Callable`, *optional*): makes the bar, as `tqdm` does.

    Returns:
        `Tensor`: float32 of shape (texts, features), on the CPU.
    """
    place = {text: k for k, text in enumerate(dict.fromkeys(texts))}
    # Of like length together: less padding.
    ordered = sorted(place, key=len)
    found = torch.empty(len(place), head.dense.in_features)
    kept: list[Tensor] = []
    handle = head.dense.register_forward_pre_hook(lambda layer, given: kept.append(given[0]))
    was_training = model.training
    model.eval()
    try:
        with progress(total=len(ordered), desc="Encoding", unit=" texts", mininterval=1.0) as bar:
            for start in range(0, len(ordered), batch_size):
                part = ordered[start : start + batch_size]
                tokens = tokenizer(part, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
                model(**tokens.to(model.device))
                found[[place[text] for text in part]] = kept.pop().float().cpu()
                bar.update(len(part))
    finally:
        handle.remove()
        model.train(was_training)
    return found[[place[text] for text in texts]]
