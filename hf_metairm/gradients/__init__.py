"""
Gradients of objectives over environments, in plain PyTorch.

Start with [`meta_gradient`] (`meta_objective.py`), or with [`gradient_of_objective`] (`risk_objective.py`) for an
objective of the risks alone; `alignment` has what compares the gradients of the risks. `risks` says what a risk is and
how parts of a batch add up to it; `std_loss` holds the weights that σ gives each meta-loss; `oracles` evaluates a risk
away from the model's own parameters; `kinds` says what a kind of meta-gradient is, `unrolled`, `exact`,
`finite_difference` and `crossed_difference` hold them, and `choice` says which one is taken where nobody does;
`processes` is what changes when several processes share the batch.
"""

from .alignment import GradientVariance, PathGradient, gradient_along_path, gradient_variance
from .choice import AUTO, SMALL_ALPHA, Choice, choose_kind
from .crossed_difference import CrossedDifference
from .exact import Exact
from .finite_difference import SCHEMES, FiniteDifference
from .kinds import KINDS, Kind
from .meta_objective import REDUCTIONS, MetaGradient, check_model, meta_gradient
from .pairs import draw_pairs
from .parameters import is_elsewhere, trainable_parameters
from .risk_objective import RiskObjectiveGradient, gradient_of_objective
from .risks import Evaluation, Part, Parts, Risk, as_parts
from .std_loss import StdLoss
from .unrolled import FirstOrder, Linearization, Unrolled


__all__ = [
    "AUTO",
    "KINDS",
    "REDUCTIONS",
    "SCHEMES",
    "SMALL_ALPHA",
    "Choice",
    "CrossedDifference",
    "Evaluation",
    "Exact",
    "FiniteDifference",
    "FirstOrder",
    "GradientVariance",
    "Kind",
    "Linearization",
    "MetaGradient",
    "Part",
    "Parts",
    "PathGradient",
    "Risk",
    "RiskObjectiveGradient",
    "StdLoss",
    "Unrolled",
    "as_parts",
    "check_model",
    "choose_kind",
    "draw_pairs",
    "gradient_along_path",
    "gradient_of_objective",
    "gradient_variance",
    "is_elsewhere",
    "meta_gradient",
    "trainable_parameters",
]
