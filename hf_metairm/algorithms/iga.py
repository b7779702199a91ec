"""IGA: the gradients of the environments' risks should be the same (Koyama & Yamaguchi 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..gradients import Exact, FiniteDifference, Parts, Risk, Unrolled, check_model, gradient_variance
from .base import Algorithm, Step, StepGradient, algorithm
from .description import Description
from .settings import ANNEALING, ComparesEnvironments, PenaltySettings, Range, annealing_in_words, wrong


# How the Hessian-vector product is computed: the kind of it, and the scheme of a finite difference.
PRODUCTS: dict[str, tuple[type[Unrolled[Any]], str]] = {
    "exact": (Exact, "forward"),
    "forward_difference": (FiniteDifference, "forward"),
    "central_difference": (FiniteDifference, "central"),
}


@dataclass
class IGASettings(ComparesEnvironments, PenaltySettings):
    """
    Settings of IGA, beside those of [`PenaltySettings`].

    Args:
        hessian_product (`str`, *optional*, defaults to `"exact"`):
            How the Hessian-vector product is computed: `"exact"` by double backward, or from ordinary gradients as a
            `"forward_difference"` (one more for each environment) or a `"central_difference"` (two, and more exact).

    Raises:
        ValueError: a value that the field cannot take.
    """

    hessian_product: str = field(
        default="exact",
        metadata={"help": "How the Hessian-vector product is computed.", "choices": tuple(PRODUCTS)},
    )

    search_space = {"penalty_weight": Range(1e1, 1e5), "penalty_anneal_steps": ANNEALING}  # noqa: RUF012
    on_features = {"penalty_weight": 1e3, "penalty_anneal_steps": 60}  # noqa: RUF012

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        if self.hessian_product not in PRODUCTS:
            raise wrong(self, "hessian_product", f"one of {', '.join(PRODUCTS)}")


@algorithm("iga")
class IGA(Algorithm):
    """
    Inter-environmental gradient alignment: mean_e R_e + `penalty_weight` · mean_e ‖g_e − ḡ‖², where g_e = ∇R_e with
    respect to all trainable parameters: the trace of their covariance over environments (Koyama & Yamaguchi 2020,
    arXiv 2008.01883). The code in DomainBed takes the sum over environments: the weight here is E times as large.

    The gradient is exact, also over micro-batches and processes; see [`~hf_metairm.gradients.gradient_variance`]. It
    takes a gradient and a Hessian-vector product of each environment. With `hessian_product="exact"` the graphs of all
    environments are kept at once, or, where there are several micro-batches, built anew. Logged: `iga_penalty`.
    """

    title = "IGA"
    tags = ("iga", "gradient-alignment")
    paper = """@article{koyama2020out,
  title={When is invariance useful in an Out-of-Distribution Generalization problem ?},
  author={Koyama, Masanori and Yamaguchi, Shoichiro},
  journal={arXiv preprint arXiv:2008.01883},
  year={2020}
}"""
    gentler = "a smaller penalty_weight, or a later penalty_anneal_steps"
    Settings = IGASettings
    settings: IGASettings

    def check(self, model: nn.Module, share: int) -> None:
        """A model that the Hessian-vector product can be right for."""
        with _own_words():
            check_model(model, self._kind())

    def _kind(self, compute_dtype: torch.dtype | None = None) -> Unrolled[Any]:
        kind, scheme = PRODUCTS[self.settings.hessian_product]
        return kind(scheme, compute_dtype)

    def objective_gradient(self, model: nn.Module, risk: Risk, batches: Parts, step: Step) -> StepGradient:
        """The gradient with the weight of this step, divided by that where it is above 1."""
        weight, divisor = self.settings.weight_at(step.number)
        with _own_words():
            found = gradient_variance(
                model, risk, batches, kind=self._kind(step.compute_dtype), loss_scale=step.loss_scale
            )
        gradients: list[Tensor | None] = [None] * len(found.used)
        for k in (k for k, used in enumerate(found.used) if used):
            gradients[k] = found.mean[k].add_(found.gradients[k], alpha=weight).div_(divisor)
        objective = (torch.stack(list(found.risks.values())).mean() + weight * found.variance) / divisor
        return StepGradient(gradients, objective, found.risks, {"iga_penalty": found.variance})

    def divisor(self, step: Step) -> float:
        """The weight of this step, or 1 if that is larger."""
        return self.settings.weight_at(step.number)[1]

    def describe(self) -> Description:
        """The risks and the variance of their gradients, with its weight and the kind of Hessian-vector product."""
        s = self.settings
        kind = s.hessian_product.replace("_", " ")
        return Description(
            f"J(θ) = (1/E) Σ_e R_e(θ) + {s.penalty_weight:g} · (1/E) Σ_e ‖∇R_e(θ) − ∇R̄(θ)‖²{self._l2_term()}",
            "R_e is the mean loss over the rows of environment e, R̄ the mean of the risks. Hessian-vector product: "
            f"{kind}.{annealing_in_words(s.penalty_weight, s.penalty_anneal_steps)}",
            "cues whose strength differs between the training environments: no step should help one of them more than "
            "another",
        )


@contextmanager
def _own_words() -> Iterator[None]:
    """What the Hessian-vector product refuses speaks of meta-IRM's setting; here it has another name."""
    try:
        yield
    except ValueError as error:
        own = str(error).replace("meta_gradient='finite_difference'", "hessian_product='forward_difference'")
        raise ValueError(own.replace("meta_gradient='exact'", "hessian_product='exact'")) from error
