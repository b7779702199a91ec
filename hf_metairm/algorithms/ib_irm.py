"""IB-IRM: IRMv1 with an information bottleneck, the variance of the features (Ahuja et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..gradients import Risk
from .base import Logs, Step, algorithm
from .description import Description
from .features import FeatureSettings, OfFeatures
from .irmv1 import IRMSettings, IRMv1
from .settings import ANNEALING, Range, annealed_weight, at_least_zero


@dataclass
class IBIRMSettings(FeatureSettings, IRMSettings):
    """
    Settings of IB-IRM, beside those of [`IRMSettings`] and [`FeatureSettings`].

    Args:
        bottleneck_weight (`float`, *optional*, defaults to 1.0):
            The weight of the features' variance. Before `penalty_anneal_steps` it is at most 1, as that of the
            penalty; where the larger of the two is above 1, the whole objective is divided by it.

    Raises:
        ValueError: a value that the field cannot take.
    """

    bottleneck_weight: float = field(default=1.0, metadata={"help": "Weight of the variance of the features."})

    search_space = {  # noqa: RUF012
        "penalty_weight": Range(1e1, 1e5),
        "bottleneck_weight": Range(1e-1, 1e3),
        "penalty_anneal_steps": ANNEALING,
    }
    on_features = {"penalty_weight": 1e3, "bottleneck_weight": 1.0, "penalty_anneal_steps": 60}  # noqa: RUF012

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        at_least_zero(self, "bottleneck_weight")


@algorithm("ib-irm")
class IBIRM(OfFeatures, IRMv1):
    """
    mean_e R_e + `penalty_weight` · IRMv1's penalty + `bottleneck_weight` · mean_e Var_e(Φ).

    Var_e(Φ) is the population variance over the rows of environment e, the mean over the features; the code
    in DomainBed divides by n − 1 rows. The penalty is that of
    [`~hf_metairm.algorithms.irmv1.IRMv1`]; with `unbiased_penalty=True` it is the product of two halves' gradients, as
    in that code. Logged: `irm_penalty` and `bottleneck_penalty`.

    Raises:
        ValueError: at the first step, for a model whose loss is not the cross-entropy of its logits, or without the
            features that are asked for; features that are not finite.
    """

    title = "IB-IRM"
    tags = ("ib-irm", "invariant-risk-minimization")
    paper = """@inproceedings{ahuja2021invariance,
  title={Invariance Principle Meets Information Bottleneck for Out-of-Distribution Generalization},
  author={Ahuja, Kartik and Caballero, Ethan and Zhang, Dinghuai and Gagnon-Audet, Jean-Christophe and
    Bengio, Yoshua and Mitliagkas, Ioannis and Rish, Irina},
  booktitle={Advances in Neural Information Processing Systems},
  year={2021}
}"""
    gentler = "a smaller penalty_weight or bottleneck_weight, or a later penalty_anneal_steps"
    Settings = IBIRMSettings
    settings: IBIRMSettings

    def statistics(self, model: nn.Module, risk: Risk, inputs: Any) -> Tensor:
        """Those of IRMv1, and the features' means and mean square: shape (1 + m + d + 1,)."""
        reader = self.reader(model)
        with reader.reading():
            of_irm = super().statistics(model, risk, inputs)
        features = reader.features
        self.width = features.shape[1]
        moments = torch.cat([features.mean(0), features.square().mean().reshape(1)])
        return torch.cat([of_irm, moments.to(of_irm)])

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """IB-IRM with the weights of this step, divided by the larger where that is above 1."""
        gradients, moments = others[:, : -self.width - 1], others[:, -self.width - 1 :]
        self.check_finite(moments, environments)
        logs["irm_penalty"] = penalty = self.penalty(gradients)
        logs["bottleneck_penalty"] = variance = (moments[:, -1] - moments[:, :-1].square().mean(1)).mean()
        weight = self.settings.weight_at(step.number)[0]
        bottleneck = self._bottleneck(step)[0]
        return (risks.mean() + weight * penalty + bottleneck * variance) / self.divisor(step)

    def _bottleneck(self, step: Step) -> tuple[float, float]:
        return annealed_weight(self.settings.bottleneck_weight, step.number, self.settings.penalty_anneal_steps)

    def divisor(self, step: Step) -> float:
        """The larger weight of this step, or 1 if that is larger."""
        return max(super().divisor(step), self._bottleneck(step)[1])

    def describe(self) -> Description:
        """The risks and both penalties, with their weights."""
        s, plain = self.settings, super().describe()
        with_variance = f"{plain.formula.removesuffix(self._l2_term())} + {s.bottleneck_weight:g} · (1/E) Σ_e Var_e(Φ)"
        larger = max(s.penalty_weight, s.bottleneck_weight)
        words = plain.where.partition(" In the first")[0].partition(" The whole objective")[0]
        if s.penalty_anneal_steps and larger > 1:
            words += f" In the first {s.penalty_anneal_steps} steps no weight is above 1."
        if larger > 1:
            words += " The whole objective is divided by the larger weight."
        return Description(
            f"{with_variance}{self._l2_term()}",
            f"{words} Var_e(Φ) is the variance of the features over these rows, the mean over the features.",
            f"{plain.against}, also where a cue determines the label alone, as far as it takes more features",
        )
