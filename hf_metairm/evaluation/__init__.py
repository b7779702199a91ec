"""Any classifier on any dataset with an environment column: metrics and confusion in each, with their uncertainty."""

from .evaluate import evaluate_checkpoint
from .result import EnvironmentScores, Evaluation


__all__ = ["EnvironmentScores", "Evaluation", "evaluate_checkpoint"]
