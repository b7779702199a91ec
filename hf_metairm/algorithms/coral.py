"""CORAL: the mean and the covariance of the features should be the same in all environments (Sun & Saenko 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..gradients import Risk
from .base import Logs, Step, algorithm
from .description import Description
from .features import FeatureSettings, OfFeatures
from .risk_objective import WeightedPenalty
from .settings import ComparesEnvironments, PenaltySettings, Range, annealing_in_words


@dataclass
class CORALSettings(ComparesEnvironments, FeatureSettings, PenaltySettings):
    """Settings of CORAL: those of [`PenaltySettings`] and [`FeatureSettings`]."""

    search_space = {"penalty_weight": Range(1e-1, 1e1)}  # noqa: RUF012


@algorithm("coral")
class CORAL(OfFeatures, WeightedPenalty):
    """
    mean_e R_e + `penalty_weight` · the mean over pairs of environments of how far their features are apart, in mean
    and in covariance; see [`feature_distance`].

    The covariances are those of the population, over n rows and not n − 1, so that they are the same whatever the
    batch is cut into. Each process and micro-batch adds d² + d numbers an environment to a sum, for d features.
    Logged: `coral_penalty`.

    Raises:
        ValueError: a model without the features that are asked for; features that are not finite.
    """

    title = "CORAL"
    tags = ("coral", "deep-coral")
    paper = """@inproceedings{sun2016deep,
  title={Deep CORAL: Correlation Alignment for Deep Domain Adaptation},
  author={Sun, Baochen and Saenko, Kate},
  booktitle={European Conference on Computer Vision Workshops},
  year={2016}
}"""
    Settings = CORALSettings
    settings: CORALSettings

    def statistics(self, model: nn.Module, risk: Risk, inputs: Any) -> Tensor:
        """The risk and the first two moments of the features: shape (1 + d + d²,)."""
        reader = self.reader(model)
        with reader.reading():
            loss = risk(model, inputs)
        features = reader.features
        self.width = features.shape[1]
        second = features.T @ features / len(features)
        return torch.cat([loss.reshape(1).to(features), features.mean(0), second.flatten()])

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """CORAL with the weight of this step, divided by that where it is above 1."""
        self.check_finite(others, environments)
        weight, divisor = self.settings.weight_at(step.number)
        d = self.width
        means, second = others[:, :d], others[:, d:].unflatten(1, (d, d))
        covariances = second - means[:, :, None] * means[:, None, :]
        logs["coral_penalty"] = penalty = feature_distance(means, covariances)
        return (risks.mean() + weight * penalty) / divisor

    def describe(self) -> Description:
        """The risks and the distance between the features, with its weight."""
        s = self.settings
        pairs = "(2 / (E (E − 1))) Σ_{i<j}"
        return Description(
            f"J(θ) = (1/E) Σ_e R_e(θ) + {s.penalty_weight:g} · {pairs} (‖μ_i − μ_j‖²/d + ‖C_i − C_j‖²/d²)"
            f"{self._l2_term()}",
            "R_e is the mean loss over the rows of environment e, μ_e and C_e the mean and the covariance of the d "
            f"features over these rows.{annealing_in_words(s.penalty_weight, s.penalty_anneal_steps)}",
            "inputs that look different from one place to the next, while the label depends on what they have in "
            "common in the same way",
            "Where the share of the labels, or what the label depends on, differs between places, equal features are "
            "no help.",
        )


def feature_distance(means: Tensor, covariances: Tensor) -> Tensor:
    r"""
    The mean over pairs i < j of ‖μ_i − μ_j‖²/d + ‖C_i − C_j‖²/d².

    Deep CORAL (Sun & Saenko 2016, arXiv 1607.01719) has ‖C_i − C_j‖²/(4d²) for two domains; this is the
    form of DomainBed, with the means and without the 4. Over all pairs it is 2E/(E − 1) times the variance.

    Args:
        means (`Tensor`): shape (E, d).
        covariances (`Tensor`): shape (E, d, d).

    Returns:
        `Tensor`: a scalar, not negative.
    """
    count = len(means)
    scattered = [(values - values.mean(0)).square().mean() for values in (means, covariances)]
    return 2 * count / (count - 1) * (scattered[0] + scattered[1])
