"""Any classifier on any dataset with an environment column: metrics and confusion in each, with their uncertainty."""

from ..deprecation import former_names
from .evaluate import evaluate_checkpoint
from .result import EnvironmentScores, Evaluation


__all__ = ["EnvironmentScores", "Evaluation", "evaluate_checkpoint"]

__getattr__ = former_names(__name__)
