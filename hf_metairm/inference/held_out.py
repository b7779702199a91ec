"""
Whether an inferred split is better than chance, judged on rows that the judging models were not fitted to.

Any model makes errors, so a split by them is always found, and it always violates invariance: the rows were chosen
for that. Two things make it one that an invariant method can use, and neither follows from how it was made:

1. *Something to drop.* The reference model tells the label better than chance on held-out rows. Otherwise its errors
   are noise, and so is the split.
2. *Something to keep.* One other model, fitted with the same weight on every class of both environments, so that what
   the reference model says is worth nothing to it, tells the label better than chance in **both** environments. If all
   there is to know is what the reference model knows, a model that is right in one is wrong in the other: with two
   classes and errors that are noise its two accuracies sum to 1.

Each of the three accuracies is the mean over classes of the share that is told rightly. Under the null hypothesis
that predictions and labels are independent it is that of predictions drawn with their own frequencies, with a normal
distribution (for two classes the test for equal proportions). The split is better than chance if all three are, so the
p-value is the largest of the three (an intersection-union test, Berger 1982): where one of the null hypotheses holds,
it is below α with probability α at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from torch import Tensor

from ..inspection.regression import Features, cross_fitted


SIGNIFICANT = 0.05
RIDGE = 0.3  # per row


@dataclass(frozen=True)
class Told:
    """
    How well labels are told.

    Args:
        accuracy (`float`): mean over classes of the share that is told rightly.
        chance (`float`): what predictions of the same frequencies that know nothing get.
        p_value (`float`): of the hypothesis that predictions and labels are independent, against better ones.
    """

    accuracy: float
    chance: float
    p_value: float


@dataclass(frozen=True)
class HeldOut:
    """
    What [`judge_split`] found.

    Args:
        reference ([`Told`]): of the reference model on all rows.
        kept (`dict[str, Told]`): by environment, of the one other model; empty where rows have no features.
    """

    reference: Told
    kept: dict[str, Told]

    @property
    def p_value(self) -> float:
        """Of the hypothesis that there is nothing to drop, or nothing to keep."""
        return max(told.p_value for told in (self.reference, *self.kept.values()))


def judge_split(
    logits: Tensor,
    labels: np.ndarray,
    environments: np.ndarray,
    names: tuple[str, ...],
    features: Features | None,
    folds: np.ndarray,
) -> HeldOut:
    """
    Test an inferred split as the module's docstring says.

    Args:
        logits (`Tensor`): of the reference model, for n rows that it was not fitted to, of shape (n, K).
        labels (`np.ndarray`): integers of shape (n,), 0 … K − 1.
        environments (`np.ndarray`): integers of shape (n,).
        names (`tuple[str, ...]`): of the environments.
        features ([`Features`], *optional*): what the other model reads; without them only 1. is tested.
        folds (`np.ndarray`): integers of shape (n,); each row is judged by a model of the other folds.
    """
    reference = told(logits.argmax(1).numpy(), labels)
    if features is None:
        return HeldOut(reference, {})
    classes = int(labels.max()) + 1
    group = environments * classes + labels
    sizes = np.bincount(group, minlength=classes * len(names))
    weights = len(labels) / ((sizes > 0).sum() * sizes[group])
    predicted = cross_fitted(features, labels, folds, weights, ridge=RIDGE * len(labels)).argmax(1).numpy()
    parts = {name: environments == e for e, name in enumerate(names)}
    return HeldOut(reference, {name: told(predicted[part], labels[part]) for name, part in parts.items()})


def told(predicted: np.ndarray, labels: np.ndarray) -> Told:
    """
    How well predictions tell labels.

    Args:
        predicted (`np.ndarray`), labels (`np.ndarray`): integers of shape (n,).
    """
    classes, rows = np.unique(labels, return_counts=True)
    share = np.array([(predicted == k).mean() for k in classes])
    right = np.array([(predicted[labels == k] == k).mean() for k in classes])
    error = float(np.sqrt((share * (1 - share) / rows).sum())) / len(classes)
    gain = float((right - share).mean())
    p = NormalDist().cdf(-gain / error) if error > 0 and len(classes) > 1 else 1.0
    return Told(float(right.mean()), float(share.mean()), p)
