"""Named rules that choose one of an algorithm's trials.

A trial is a line of the results: `validation` holds accuracy, risk and calibration error on held-out rows of the
training environments, `test` accuracy in the test environments. Only `oracle` looks at `test`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


Trial = Mapping[str, Any]
Rule = Callable[[Sequence[Trial], float, str], Trial]


def train_environments(trials: Sequence[Trial], margin: float, unseen: str) -> Trial:
    """The best accuracy in the worst training environment."""
    return max(trials, key=worst_accuracy)


def invariance(trials: Sequence[Trial], margin: float, unseen: str) -> Trial:
    """
    The smallest spread of validation risk over the training environments, among trials whose worst accuracy is within
    `margin` of the best: where a cue's strength differs, whoever uses it has unequal risks.
    """
    return min(_accurate(trials, margin), key=lambda trial: _spread(trial, "risk"))


def calibration(trials: Sequence[Trial], margin: float, unseen: str) -> Trial:
    """
    The smallest calibration error in the worst training environment, among the same: a classifier that is calibrated
    in every environment uses no cue whose strength differs (Wald et al. 2021, arXiv 2102.10395).
    """
    return min(
        _accurate(trials, margin),
        key=lambda trial: max(found["calibration_error"] for found in trial["validation"].values()),
    )


def oracle(trials: Sequence[Trial], margin: float, unseen: str) -> Trial:
    """
    The best of the lower of worst training accuracy and accuracy in the unseen environment, as in the search of the
    IRM experiments. No rule for practice: it needs what is to be predicted.
    """
    return max(trials, key=lambda trial: min(worst_accuracy(trial), trial["test"][unseen]["accuracy"]))


RULES: dict[str, Rule] = {
    "train-environments": train_environments,
    "invariance": invariance,
    "calibration": calibration,
    "oracle": oracle,
}


def worst_accuracy(trial: Trial) -> float:
    """Validation accuracy in the worst training environment."""
    return min(found["accuracy"] for found in trial["validation"].values())


def _accurate(trials: Sequence[Trial], margin: float) -> list[Trial]:
    best = max(map(worst_accuracy, trials))
    return [trial for trial in trials if worst_accuracy(trial) >= best - margin]


def _spread(trial: Trial, figure: str) -> float:
    values = [found[figure] for found in trial["validation"].values()]
    return max(values) - min(values)
