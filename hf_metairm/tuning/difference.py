"""What differs between environments, found in the features: which rows the environments' own heads judge differently.

A head is fitted to each environment alone, linear and strongly regularized, on the rows that the algorithms train on.
Where all environments agree on how features and label go together, the heads of two of them do as well on each other's
validation rows as on their own. Where a cue's strength differs they do not, and their difference is that cue: log
p_a(y|x) − log p_b(y|x) is above 0 for the rows in which it speaks for the label and below 0 for the others, or the
other way round. A model that follows the cue does well on one of these two groups of rows and badly on the other. No
environment that is named unseen is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import TensorRows


RIDGE = 1.0  # of ½‖W‖² beside the mean cross-entropy, on standardized features
# Standard errors that a difference must be above 0 by; several pairs are looked at.
SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Difference:
    """
    The two environments whose own heads differ most in what they are worth on each other's rows.

    Args:
        environments (`tuple[str, str]`): the two.
        nats (`float`): how much lower the risk of an environment's own head is than that of the other's head, on
            validation rows, mean of both.
        error (`float`): its standard error.
    """

    environments: tuple[str, str]
    nats: float
    error: float

    @property
    def is_significant(self) -> bool:
        """Whether it is more than chance."""
        return self.nats > SIGNIFICANT * self.error

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def find_difference(train: TensorRows, validation: TensorRows) -> tuple[Difference, np.ndarray]:
    """
    Find what differs between the environments of some rows.

    Args:
        train (`TensorRows`): rows to fit heads to, with standardized `features`, `labels` and `environment`.
        validation (`TensorRows`): other rows of the same environments.

    Returns:
        the [`Difference`], and for each validation row (bool, shape (rows,)) whether it is in the first of the two
        groups.
    """
    names, of_row = np.array(train["environment"]), np.array(validation["environment"])
    classes = int(max(train["labels"].max(), validation["labels"].max())) + 1
    log_p: dict[str, np.ndarray] = {}
    for name in np.unique(names):
        rows = torch.from_numpy(np.flatnonzero(names == name))
        head = fit_head(train["features"][rows], train["labels"][rows], classes)
        scores = nn.functional.log_softmax(head(validation["features"]), 1)
        log_p[str(name)] = scores.gather(1, validation["labels"][:, None])[:, 0].double().numpy()
    found = [(_between(a, b, log_p, of_row), a, b) for a, b in combinations(log_p, 2)]
    (nats, error), a, b = max(found, key=lambda f: f[0][0] / f[0][1])
    return Difference((a, b), nats, error), log_p[a] > log_p[b]


def _between(a: str, b: str, log_p: Mapping[str, np.ndarray], of_row: np.ndarray) -> tuple[float, float]:
    gains = [(log_p[own] - log_p[other])[of_row == own] for own, other in ((a, b), (b, a))]
    error = math.sqrt(sum(gain.var() / len(gain) for gain in gains)) / 2
    return float(np.mean([gain.mean() for gain in gains])), max(error, 1e-12)


def fit_head(features: Tensor, labels: Tensor, classes: int, ridge: float = RIDGE) -> nn.Linear:
    """
    Multinomial logistic regression: minimizes the mean cross-entropy + ½ `ridge` ‖W‖².

    Args:
        features (`Tensor`): of shape (n, d). labels (`Tensor`): int64 of shape (n,).
        classes (`int`): how many there are.
        ridge (`float`, *optional*, defaults to 1.0): weight of the squares; the bias is free.
    """
    head = nn.Linear(features.shape[1], classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(features), labels) + 0.5 * ridge * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return head.requires_grad_(False)
