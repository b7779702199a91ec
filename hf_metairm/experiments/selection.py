"""Named rules that choose one of an algorithm's runs.

They look at `validation`: accuracy, risk and calibration error on held-out rows of the training environments. Only
`oracle` looks at `test`, accuracy in the test environments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


Measured = Mapping[str, Any]
Rule = Callable[[Sequence[Measured], float, str], Measured]
# Validation accuracy that a rule gives up for invariance. The training environments of Colored MNIST reward the cue
# with about ten points, and those must be allowed to go.
MARGIN = 0.15


def train_environments(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """The best accuracy in the worst training environment."""
    return max(runs, key=worst_accuracy)


def invariance(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """
    The smallest spread of validation risk over the training environments, among runs whose worst accuracy is within
    `margin` of the best: where a cue's strength differs, whoever uses it has unequal risks.
    """
    return min(_accurate(runs, margin), key=_spread_of_risk)


def calibration(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """
    The smallest calibration error in the worst training environment, among the same: a classifier that is calibrated
    in every environment uses no cue whose strength differs (Wald et al. 2021, arXiv 2102.10395).
    """
    return min(
        _accurate(runs, margin),
        key=lambda run: max(found["calibration_error"] for found in run["validation"].values()),
    )


def oracle(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """
    The best of the lower of worst training accuracy and accuracy in the unseen environment, as in the search of the
    IRM experiments. No rule for practice: it needs what is to be predicted.
    """
    return max(runs, key=lambda run: min(worst_accuracy(run), run["test"][unseen]["accuracy"]))


RULES: dict[str, Rule] = {
    "train-environments": train_environments,
    "invariance": invariance,
    "calibration": calibration,
    "oracle": oracle,
}


def worst_accuracy(run: Measured) -> float:
    """Validation accuracy in the worst training environment."""
    return min(found["accuracy"] for found in run["validation"].values())


def _accurate(runs: Sequence[Measured], margin: float) -> list[Measured]:
    best = max(map(worst_accuracy, runs))
    return [run for run in runs if worst_accuracy(run) >= best - margin]


def _spread_of_risk(run: Measured) -> float:
    risks = [found["risk"] for found in run["validation"].values()]
    return max(risks) - min(risks)
