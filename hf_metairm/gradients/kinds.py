"""How the Hessian-vector product of the inner step is computed: one class a kind of meta-gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from ..registry import Registry
from .oracles import InPlaceOracle, Oracle
from .parameters import Vector
from .risks import Environment


@dataclass
class Linearization:
    """
    R_e(θ), ∇R_e(θ) and v ↦ H_e(θ) v, all over the rows of all processes.

    Args:
        risk (`Tensor`): a scalar.
        gradient (list of `Tensor`): shaped like the parameters.
        hessian_times (`Callable`): maps v to H v; to be called once.
    """

    risk: Tensor
    gradient: Vector
    hessian_times: Callable[[Vector], Vector]


OracleT = TypeVar("OracleT", bound=Oracle)


class Kind(ABC, Generic[OracleT]):
    """
    A kind of meta-gradient.

    Args:
        scheme (`str`, *optional*, defaults to `"forward"`): of a finite difference, `"forward"` or `"central"`.
        compute_dtype (`torch.dtype`, *optional*): the dtype of autocast where the risk computes under it; the
            parameters' own if `None`.
    """

    oracle: ClassVar[type[Oracle]] = InPlaceOracle

    def __init__(self, scheme: str = "forward", compute_dtype: torch.dtype | None = None):
        self.scheme = scheme
        self.compute_dtype = compute_dtype

    def check(self, model: nn.Module) -> None:
        """Raise `ValueError` for a model that this kind cannot be right for."""

    @abstractmethod
    def linearize(self, oracle: OracleT, environment: Environment, point: Vector) -> Linearization:
        """The risk of an environment at `point`, with its gradient and its Hessian."""


KINDS: Registry[type[Kind]] = Registry("kind of meta-gradient")


@KINDS.register("first_order")
class FirstOrder(Kind[Oracle]):
    """The Hessian taken for zero: what is left of the objective's gradient is first-order meta-learning."""

    def linearize(self, oracle: Oracle, environment: Environment, point: Vector) -> Linearization:
        """The gradient alone."""
        risk, gradient = oracle.joint_gradient(environment, point)
        return Linearization(risk, gradient, lambda vector: [torch.zeros_like(v) for v in vector])
