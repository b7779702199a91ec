"""Which kind of meta-gradient is taken where nobody says."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from .exact import Exact
from .parameters import trainable_parameters


AUTO = "auto"
# Up to this α crossed differences were at most a few percent off on every model that was measured.
SMALL_ALPHA = 0.02


@dataclass(frozen=True)
class Choice:
    """
    A kind of meta-gradient, and why it is taken.

    Args:
        kind (`str`): a key of [`KINDS`].
        because (`str`): the reason, as a sentence without its full stop.
        provisional (`bool`, *optional*, defaults to `False`): whether its error on the first batch is to decide.
    """

    kind: str
    because: str
    provisional: bool = False


def choose_kind(
    model: nn.Module, inner_learning_rate: float, inner_steps: int = 1, same_environment: bool = False
) -> Choice:
    """
    The kind for a model and an objective: `"exact"` for small models, where it costs little and has no error;
    `"crossed_difference"` for small α, at the price of first order; else `"finite_difference"`. It is a function of
    what does not change in a training, so every process chooses the same, and a resumed run as well.

    Args:
        model (`nn.Module`): as it is trained.
        inner_learning_rate (`float`), inner_steps (`int`), same_environment (`bool`): see [`meta_gradient`].
    """
    size = f"{sum(p.numel() for p in model.parameters()) / 1e6:,.1f} million parameters"
    if Exact.fits(model):
        return Choice("exact", f"the model has {size}, for which double backward is cheap")
    if any(torch.finfo(p.dtype).bits < 32 for p in trainable_parameters(model)):
        return Choice("exact", "its parameters are in half precision, too coarse for differences of gradients")
    if inner_steps > 1 or same_environment:
        what = f"inner_steps={inner_steps}" if inner_steps > 1 else "same_environment=True"
        return Choice("finite_difference", f"crossed differences are not for {what}")
    if inner_learning_rate > SMALL_ALPHA:
        return Choice(
            "finite_difference",
            f"inner_learning_rate={inner_learning_rate:g} is above {SMALL_ALPHA}, too large for crossed differences",
        )
    because = f"inner_learning_rate={inner_learning_rate:g} is small, and the model has {size}"
    return Choice("crossed_difference", because, provisional=True)
