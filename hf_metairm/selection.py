"""Named rules that choose one of an algorithm's runs, and objectives of a search with a Trainer.

The rules look at `validation`: accuracy, risk and calibration error on held-out rows of the training environments;
some also at `groups` and `left_out`, which are made of training environments, too. Only `oracle` looks at `test`. The
objectives look at what `EnvironmentTrainer.evaluate` returns: keep unseen environments out of its `eval_dataset`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any


Measured = Mapping[str, Any]
Rule = Callable[[Sequence[Measured], float, str], Measured]
# Validation accuracy that a rule gives up for invariance. The training environments of Colored MNIST reward the cue
# with about ten points, and those must be allowed to go.
MARGIN = 0.15


def train_environments(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """The best accuracy in the worst training environment."""
    return max(runs, key=worst_accuracy)


def half_range(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """
    The smallest spread of validation risk over the training environments, among the runs whose worst accuracy is in
    the upper half of the range that the runs have (after the rule of PAIR, Chen et al. 2023, arXiv 2206.07766). There
    is no margin to choose.
    """
    accuracies = [worst_accuracy(run) for run in runs]
    least = (min(accuracies) + max(accuracies)) / 2
    return min((run for run in runs if worst_accuracy(run) >= least), key=spread_of_risk)


def invariance(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """
    The smallest spread of validation risk over the training environments, among runs whose worst accuracy is within
    `margin` of the best: where a cue's strength differs, whoever uses it has unequal risks.
    """
    return min(_accurate(runs, margin), key=_range_of_risk)


def calibration(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """
    The smallest calibration error in the worst training environment, among the same: a classifier that is calibrated
    in every environment uses no cue whose strength differs (Wald et al. 2021, arXiv 2102.10395).
    """
    return min(_accurate(runs, margin), key=lambda run: max(_each(run, "validation", "calibration_error")))


def worst_group(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """
    The best mean accuracy among the runs whose accuracy in the worse of two groups of validation rows is within one
    standard error of the best: those in which what differs between the training environments speaks for the label, and
    those in which it speaks against it. (The rule of one standard error is that of Breiman et al. 1984: what cannot be
    told apart by the first measure is told apart by another.)
    """
    best = max(runs, key=worst_group_accuracy)
    group = min(best["groups"].values(), key=lambda found: found["accuracy"])
    least = group["accuracy"] - math.sqrt(group["accuracy"] * (1 - group["accuracy"]) / group["rows"])
    return max((run for run in runs if worst_group_accuracy(run) >= least), key=mean_accuracy)


def leave_one_out(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """The best mean accuracy in training environments that were each left out in turn."""
    return max(runs, key=left_out_accuracy)


def oracle(runs: Sequence[Measured], margin: float, unseen: str) -> Measured:
    """
    The best of the lower of worst training accuracy and accuracy in the unseen environment, as in the search of the
    IRM experiments. No rule for practice: it needs what is to be predicted.
    """
    return max(runs, key=lambda run: min(worst_accuracy(run), run["test"][unseen]["accuracy"]))


# What every run has been measured for, and those that need more than that.
RULES: dict[str, Rule] = {
    "train-environments": train_environments,
    "invariance": invariance,
    "calibration": calibration,
    "oracle": oracle,
}
TUNING_RULES: dict[str, Rule] = {
    "half-range": half_range,
    "worst-group": worst_group,
    "leave-one-out": leave_one_out,
    **RULES,
}


def worst_accuracy(run: Measured) -> float:
    """Validation accuracy in the worst training environment."""
    return min(_each(run, "validation", "accuracy"))


def mean_accuracy(run: Measured) -> float:
    """Validation accuracy, mean of the training environments."""
    return fmean(_each(run, "validation", "accuracy"))


def spread_of_risk(run: Measured) -> float:
    """The standard deviation of validation risk over the training environments, in nats."""
    return pstdev(_each(run, "validation", "risk"))


def worst_group_accuracy(run: Measured) -> float:
    """Validation accuracy in the worse of the two groups."""
    return min(_each(run, "groups", "accuracy"))


def left_out_accuracy(run: Measured) -> float:
    """Validation accuracy in environments that were left out of training, mean of them."""
    return fmean(_each(run, "left_out", "accuracy"))


def _accurate(runs: Sequence[Measured], margin: float) -> list[Measured]:
    best = max(map(worst_accuracy, runs))
    return [run for run in runs if worst_accuracy(run) >= best - margin]


def _range_of_risk(run: Measured) -> float:
    risks = _each(run, "validation", "risk")
    return max(risks) - min(risks)


def _each(run: Measured, part: str, metric: str) -> list[float]:
    """A metric in each environment (or group) of a part of what was measured."""
    return [found[metric] for found in run[part].values()]


# Objectives for `hyperparameter_search(compute_objective=…)`, over the metrics of one evaluation.


def worst_environment(metrics: Mapping[str, float]) -> float:
    """The accuracy in the environment that does worst; to be maximized."""
    return _metric(metrics, "worst_environment_accuracy")


def mean_environment(metrics: Mapping[str, float]) -> float:
    """The accuracy, mean of the environments; to be maximized."""
    return _metric(metrics, "mean_environment_accuracy")


def worst_environment_risk(metrics: Mapping[str, float]) -> float:
    """The loss in the environment that does worst; to be minimized."""
    return _metric(metrics, "worst_environment_loss")


def accuracy_less_spread(metrics: Mapping[str, float], weight: float = 1.0) -> float:
    """
    The accuracy in the environment that does worst, less `weight` times the standard deviation of the environments'
    losses; to be maximized. Where a cue's strength differs, whoever uses it has unequal losses. With the default, 0.1
    nats of spread are worth ten points of accuracy; `functools.partial(accuracy_less_spread, weight=3.0)` has another.

    Args:
        metrics (`Mapping[str, float]`): of one evaluation.
        weight (`float`, *optional*, defaults to 1.0): what a nat is worth.
    """
    return worst_environment(metrics) - weight * spread_of_losses(metrics)


def spread_of_losses(metrics: Mapping[str, float]) -> float:
    """The standard deviation of the environments' losses; to be minimized, beside an accuracy."""
    _metric(metrics, "worst_environment_loss")
    found = {match[1]: value for key, value in metrics.items() if (match := re.fullmatch("eval_(.+)_loss", key))}
    return pstdev(value for name, value in found.items() if name not in ("worst_environment", "mean_environment"))


def _metric(metrics: Mapping[str, float], name: str) -> float:
    key = f"eval_{name}"
    if key not in metrics:
        raise ValueError(
            f"The evaluation gave no {key} (it gave {', '.join(sorted(metrics))}): give the Trainer one eval_dataset "
            "with the environment column, or a compute_objective of your own."
        )
    return metrics[key]
