"""σ, the standard deviation of the meta-losses, through the weight it gives each of them."""

from __future__ import annotations

import torch
from torch import Tensor


Pair = tuple[int, int]


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
    """

    def __init__(self, weight: float = 1.0, momentum: float = 0.0, divisor: float = 1.0):
        self.weight = weight
        self.momentum = momentum
        self.divisor = divisor
        self._averages: dict[Pair, tuple[Tensor, int]] = {}
        self._origin: Tensor | None = None
        self._seen: list[Tensor] = []

    def start(self) -> None:
        """Begin a step: forget the meta-losses of the last one, but not the running means."""
        self._origin = None
        self._seen = []

    def observe(self, pair: Pair, loss: Tensor) -> Tensor:
        """
        Take the meta-loss of a pair (already averaged over the processes) and return its x_ij: the (running mean of
        the) meta-loss, measured from the step's first one so that nothing cancels where all are nearly equal.
        """
        value = loss
        if self.momentum > 0:
            average, count = self._averages.get(pair, (torch.zeros_like(loss), 0))
            average, count = self.momentum * average.to(loss) + (1 - self.momentum) * loss, count + 1
            self._averages[pair] = (average, count)
            value = average / (1 - self.momentum**count)
        if self._origin is None:
            self._origin = value
        self._seen.append(value - self._origin)
        return self._seen[-1]

    def deviation(self) -> Tensor:
        """σ of the values observed in this step."""
        return torch.stack(self._seen).std(correction=0)

    def mix(self, sum_weight: float = 1.0) -> tuple[Tensor, Tensor]:
        """
        The coefficients (a, b) with w_ij = a + b x_ij for every pair observed in this step, `divisor` included;
        `sum_weight` is what stands before Σ L_ij (above 1 where only some of the pairs were drawn).
        """
        values = torch.stack(self._seen)
        deviation, mean = values.std(correction=0), values.mean()
        slope = torch.where(deviation > 0, self.weight / (len(values) * deviation), torch.zeros_like(deviation))
        return (sum_weight - slope * mean) / self.divisor, slope / self.divisor

    def state_dict(self) -> dict[str, list]:
        """The running means, as plain numbers that JSON keeps bit for bit."""
        return {"averages": [[i, j, float(a), n] for (i, j), (a, n) in self._averages.items()]}

    def load_state_dict(self, state: dict[str, list]) -> None:
        """Put the running means of [`state_dict`] back."""
        self._averages = {(i, j): (torch.tensor(a, dtype=torch.float64), n) for i, j, a, n in state["averages"]}
