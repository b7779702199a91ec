"""σ, the standard deviation of the meta-losses, through the weight it gives each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .pairs import Pair, PairTable


class StdLoss:
    r"""
    The term λσ of the objective J = Σ L_ij + λσ, where σ is the population standard deviation of the n meta-losses.

    Differentiating σ needs no graph through it: dJ/dL_ij = w_ij = 1 + λ (L_ij − L̄)/(n σ), and w_ij = 1 where σ = 0.
    With `momentum` m > 0 the L_ij in w_ij are running means, L̂ ← m L̂ + (1 − m) L, bias-corrected as in Adam: on small
    batches σ of a single step is mostly sampling noise.

    w_ij is affine in L_ij, so a caller that does not yet know L̄ and σ can carry Σ ∇L_ij and Σ x_ij ∇L_ij and mix the
    two at the end; [`observe`] gives x_ij, [`mix`] the two coefficients.

    Args:
        weight (`float`, *optional*, defaults to 1.0): λ, at least 0.
        momentum (`float`, *optional*, defaults to 0.0): m, at least 0 and below 1. 0 is the objective of the paper.
        divisor (`float`, *optional*, defaults to 1.0): what the whole objective is divided by.
        environments (`Sequence`, *optional*): all that there will be, where that is known; others are added as met.
        by_inner (`bool`, *optional*, defaults to `False`): whether the running means are kept for each inner
            environment i, over whatever j it was judged on, and not for each pair. Where a few of many environments
            are drawn, a pair comes so seldom that its mean would be out of date. LightMIRM (ICDE 2023)
            replays losses for the same end.
    """

    def __init__(
        self,
        weight: float = 1.0,
        momentum: float = 0.0,
        divisor: float = 1.0,
        environments: Sequence[Any] = (),
        by_inner: bool = False,
    ):
        self.weight = weight
        self.momentum = momentum
        self.divisor = divisor
        self.by_inner = by_inner
        self._environments = tuple(environments)
        self._means: PairTable | None = None
        # How many meta-losses each mean is of: kept on the CPU, where counting waits for nothing.
        self._counts = np.zeros((0, 0), dtype=np.int32)
        self._origin: Tensor | None = None
        self._seen = torch.empty(0)
        self._observed = 0

    def start(self, pairs: int) -> None:
        """Begin a step with that many pairs: forget the meta-losses of the last one, but not the running means."""
        self._origin = None
        self._seen = torch.empty(pairs)
        self._observed = 0

    def observe(self, pair: Pair, loss: Tensor) -> Tensor:
        """
        Take the meta-loss of a pair (over all processes) and return its x_ij: the (running mean of the) meta-loss,
        measured from the step's first one so that nothing cancels where all are nearly equal.
        """
        value = self._smoothed(pair, loss) if self.momentum > 0 else loss
        if self._origin is None:
            self._origin = value
            self._seen = self._seen.to(loss)
        self._seen[self._observed] = value - self._origin
        self._observed += 1
        return self._seen[self._observed - 1]

    def _smoothed(self, pair: Pair, loss: Tensor) -> Tensor:
        """The bias-corrected running mean of a pair, with `loss` taken in."""
        if self._means is None:
            self._means = PairTable(self._environments, loss.dtype, loss.device, 0.0)
        # The diagonal is free: no environment is judged on itself where others are drawn.
        m, place = self.momentum, self._means.place((pair[0], pair[0]) if self.by_inner else pair)
        if len(self._counts) < len(self._means.matrix):
            missing = len(self._means.matrix) - len(self._counts)
            self._counts = np.pad(self._counts, ((0, missing), (0, missing)))
        self._counts[place] += 1
        mean = self._means.matrix[place].lerp_(loss, 1 - m)  # The matrix's own element, changed where it stands.
        return mean / (1 - m ** int(self._counts[place]))

    def deviation(self) -> Tensor:
        """σ of the values observed in this step."""
        return self._seen[: self._observed].std(correction=0)

    def mix(self, sum_weight: float = 1.0) -> tuple[Tensor, Tensor]:
        """
        The coefficients (a, b) with w_ij = a + b x_ij for every pair observed in this step, `divisor` included;
        `sum_weight` is what stands before Σ L_ij: above 1 where only some of the pairs were drawn, 2/n for twice their
        mean.
        """
        values = self._seen[: self._observed]
        deviation, mean = values.std(correction=0), values.mean()
        slope = torch.where(deviation > 0, self.weight / (len(values) * deviation), torch.zeros_like(deviation))
        return (sum_weight - slope * mean) / self.divisor, slope / self.divisor

    def state_dict(self) -> dict[str, Tensor]:
        """The running means before their correction and of how many values, each of shape (E, E); empty without."""
        if self._means is None:
            return {}
        return {"meta_loss_means": self._means.matrix, "meta_loss_counts": torch.from_numpy(self._counts.copy())}

    def load_state_dict(self, state: dict[str, Tensor], environments: Sequence[Any]) -> None:
        """Put the running means of [`state_dict`] back; `environments` is the order of its rows and columns."""
        self._means, self._counts = None, np.zeros((0, 0), dtype=np.int32)
        if not state:
            return
        means = state["meta_loss_means"]
        self._means = PairTable(environments, means.dtype, means.device, 0.0)
        self._means.matrix = means.clone()
        self._counts = state["meta_loss_counts"].cpu().numpy().astype(np.int32)
