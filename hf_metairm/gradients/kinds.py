"""The kinds of meta-gradient: one class each, registered under the name that settings and results use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic

import torch
from torch import nn

from ..registry import Registry
from .oracles import InPlaceOracle, Oracle
from .problem import Found, OracleT, Problem


class Kind(ABC, Generic[OracleT]):
    """
    A kind of meta-gradient.

    Args:
        scheme (`str`, *optional*, defaults to `"forward"`): of a finite difference, `"forward"` or `"central"`.
        compute_dtype (`torch.dtype`, *optional*): the dtype of autocast where the risk computes under it; the
            parameters' own if `None`.
    """

    oracle: ClassVar[type[Oracle]] = InPlaceOracle
    both_ways: ClassVar[bool] = False
    """Whether with (i, j) the pair (j, i) must be drawn, too."""
    one_mask: ClassVar[bool] = False
    """Whether an environment's rows draw the same dropout masks at θ and at every θ'."""

    def __init__(self, scheme: str = "forward", compute_dtype: torch.dtype | None = None):
        self.scheme = scheme
        self.compute_dtype = compute_dtype

    def check(self, model: nn.Module) -> None:
        """Raise `ValueError` for a model that this kind cannot be right for."""

    def check_objective(self, inner_steps: int, same_environment: bool) -> None:
        """Raise `ValueError` for an objective that this kind cannot be right for."""

    @abstractmethod
    def differentiate(self, problem: Problem[OracleT]) -> Found:
        """The gradient of the objective, with the losses it is made of."""

    def references(self, model: nn.Module) -> list[Kind[Any]]:
        """More precise kinds: the first of them that runs tells how far this one is off. None where none is needed."""
        return []


KINDS: Registry[type[Kind[Any]]] = Registry("kind of meta-gradient")
