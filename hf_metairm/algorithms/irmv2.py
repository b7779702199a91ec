"""IRMv2, a reconstruction: what one Newton step on the last layer would still gain in each environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..gradients import Risk
from .base import Logs, Step, algorithm
from .description import Description
from .features import FeatureSettings
from .irmv1 import IRMSettings, check_halves, halves
from .last_layer import OfLastLayer
from .settings import ANNEALING, Range, annealing_in_words, positive


@dataclass
class IRMv2Settings(FeatureSettings, IRMSettings):
    """
    Settings of IRMv2, beside those of [`IRMSettings`] and [`FeatureSettings`].

    Args:
        gramian_ridge (`float`, *optional*, defaults to 1e-3):
            δ as a share of the mean squared feature of the environment, tr G_e / d. Directions in which the features
            vary much less than that do not count.

    Raises:
        ValueError: a value that the field cannot take.
    """

    gramian_ridge: float = field(
        default=1e-3, metadata={"help": "Ridge of the features' Gramian, as a share of their mean square."}
    )

    search_space = {  # noqa: RUF012
        "penalty_weight": Range(1e1, 1e5),
        "gramian_ridge": Range(1e-3, 1e1),
        "penalty_anneal_steps": ANNEALING,
    }
    on_features = {"penalty_weight": 1e3, "penalty_anneal_steps": 60}  # noqa: RUF012

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        positive(self, "gramian_ridge")


@algorithm("irmv2")
class IRMv2(OfLastLayer):
    """
    mean_e R_e + `penalty_weight` · mean_e g_eᵀ (G_e + δ_e I)⁻¹ g_e: a reconstruction of IRMv2, whose formula could not
    be read in any source; what is known of it is that the Gramian of the representation comes in.

    Φ are the features with a constant for the bias, g_e the gradient of R_e with respect to the last linear layer, and
    G_e = E[ΦΦᵀ] in environment e. The penalty is what a Newton step on that layer would still gain in the environment,
    but for a factor. With δ → 0 no invertible linear map of the features changes it, nor, where the layer has a bias,
    a shift of them: ‖g_e‖², IRMv1's penalty with the whole layer in the place of its dummy scale, is changed by both.

    On a batch the penalty is too large by about d/n times the mean squared residual, d features and n rows of the
    environment: what a Newton step would gain by learning the rows by heart. Where n is not far larger than d that
    outweighs the rest, and rewards whatever fits best, cue or not. With `unbiased_penalty` the product of two halves'
    gradients takes its place, g_eᵀ (G_e + δ_e I)⁻¹ g'_e, which has not that excess; it may be negative.

    Each process and micro-batch adds (d + 1)² + (d + 1)·m numbers an environment to a sum, for d features and m logits
    (1 for two classes): 0.6 MB for d = 384. Logged: `irm_penalty`.

    Raises:
        ValueError: at the first step, for a model whose loss is not the cross-entropy of its logits, or whose last
            linear layer does not give them; features that are not finite.
    """

    title = "IRMv2 (a reconstruction)"
    tags = ("irmv2", "invariant-risk-minimization")
    paper = """@article{khezeli2021invariance,
  title={On Invariance Penalties for Risk Minimization},
  author={Khezeli, Kia and Blaas, Arno and Soboczenski, Frank and Chia, Nicholas and Kalantari, John},
  journal={arXiv preprint arXiv:2106.09777},
  year={2021}
}"""
    Settings = IRMv2Settings
    settings: IRMv2Settings

    def check(self, model: nn.Module, share: int) -> None:
        """Rows that can be halved, where they are to be."""
        super().check(model, share)
        check_halves(self.settings, share)

    def statistics(self, model: nn.Module, risk: Risk, inputs: Any) -> Tensor:
        """The risk, the Gramian, the last layer's gradient: shape (1 + d² + d m,), two halves' (1 + d² + 2 d m,)."""
        loss, errors, features = self.last_layer_rows(model, risk, inputs)
        gramian = features.T @ features / len(features)
        pairs = zip(halves(self.settings, features), halves(self.settings, errors.to(features)))
        gradients = [(part.T @ of_part / len(part)).flatten() for part, of_part in pairs]
        return torch.cat([loss.reshape(1).to(features), gramian.flatten(), *gradients])

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """IRMv2 with the weight of this step, divided by that where it is above 1."""
        self.check_finite(others, environments)
        weight, divisor = self.settings.weight_at(step.number)
        d = self.width
        gramians = others[:, : d * d].unflatten(1, (d, d))
        parts = others[:, d * d :].chunk(2 if self.settings.unbiased_penalty else 1, dim=1)
        gradients = [part.unflatten(1, (d, -1)) for part in parts]
        penalty = newton_gain(gramians, gradients[0], self.settings.gramian_ridge, gradients[-1]).mean()
        logs["irm_penalty"] = penalty
        return (risks.mean() + weight * penalty) / divisor

    def describe(self) -> Description:
        """The risks and the penalty, with its weight and its ridge."""
        s = self.settings
        halved = " The second g_e is that of the other half of the rows." if s.unbiased_penalty else ""
        return Description(
            f"J(θ) = (1/E) Σ_e R_e(θ) + {s.penalty_weight:g} · (1/E) Σ_e g_eᵀ (G_e + δ_e I)⁻¹ g_e{self._l2_term()}",
            "R_e is the mean loss over the rows of environment e, g_e its gradient with respect to the last linear "
            "layer, G_e the mean of ΦΦᵀ over its rows, Φ what goes into that layer, and δ_e = "
            f"{s.gramian_ridge:g} · tr G_e / d.{halved} It is a reconstruction of IRMv2, whose own formula may be "
            f"another.{annealing_in_words(s.penalty_weight, s.penalty_anneal_steps)}",
            "cues whose strength differs between the training environments: none of them alone should want another "
            "last layer",
        )


def newton_gain(gramians: Tensor, gradients: Tensor, ridge: float, others: Tensor | None = None) -> Tensor:
    r"""
    Σ_c g_cᵀ (G + δI)⁻¹ g_c of each environment, with δ = `ridge` · tr G / d.

    Args:
        gramians (`Tensor`): G, shape (E, d, d).
        gradients (`Tensor`): g, a column for each logit: shape (E, d, m).
        ridge (`float`): above 0.
        others (`Tensor`, *optional*): the second g, from other rows, shaped like the first.

    Returns:
        `Tensor`: shape (E,), not negative without `others`; computed in double precision, of the dtype of `gradients`.
    """
    exact = torch.float32 if gramians.device.type == "mps" else torch.float64
    g, gradient, other = (t.to(exact) for t in (gramians, gradients, gradients if others is None else others))
    delta = ridge * g.diagonal(dim1=1, dim2=2).mean(1)
    damped = g + delta[:, None, None] * torch.eye(g.shape[1], dtype=exact, device=g.device)
    solution: Tensor = torch.linalg.solve(damped, other)
    return (gradient * solution).sum((1, 2)).to(gradients.dtype)
