"""What a risk is: a mean loss over rows, and how risks of parts of the rows add up to that of all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


# risk(model, inputs): the mean loss of the model over the rows of some inputs, a scalar.
Risk = Callable[[nn.Module, Any], Tensor]
Environment = Hashable


@dataclass(frozen=True)
class Part:
    """
    Some rows of one environment that are evaluated together.

    R_e, the risk of the environment over all its micro-batches and processes, is Σ weight · risk(model, inputs) over
    its parts. The weight is the part's share of what the loss is a mean over: rows, or tokens with a label.

    Args:
        inputs (`Any`): what the risk function takes.
        weight (`float`): the share, between 0 and 1.
        items (`float`, *optional*, defaults to 1.0): how many items the whole environment has in this step, over all
            its parts; only their ratio between environments counts.
    """

    inputs: Any
    weight: float
    items: float = 1.0


Parts = Mapping[Any, Sequence[Part]]


@dataclass(frozen=True)
class Evaluation:
    """
    A risk together with what it was computed from, for algorithms that look at more than the risk.

    Args:
        loss (`Tensor`): the mean loss, a scalar.
        logits (`Tensor`, *optional*): shape (rows, classes); `None` where the model gives no such matrix.
        labels (`Tensor`, *optional*): class ids of shape (rows,).
        label_smoothing (`float`, *optional*, defaults to 0.0): ε of the loss.
    """

    loss: Tensor
    logits: Tensor | None
    labels: Tensor | None
    label_smoothing: float = 0.0


def as_parts(batches: Mapping[Any, Any], processes: int = 1) -> dict[Any, list[Part]]:
    """
    The batches of each environment as weighted parts: a list of [`Part`] is taken as it is, a single batch or a list
    of micro-batches as parts of equal weight, the same number on each of the `processes`.
    """
    parts: dict[Any, list[Part]] = {}
    for environment, batch in batches.items():
        pieces = batch if isinstance(batch, list) else [batch]
        weight = 1 / (len(pieces) * processes)
        parts[environment] = [piece if isinstance(piece, Part) else Part(piece, weight) for piece in pieces]
    return parts
