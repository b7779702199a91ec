"""Any classifier on any dataset with an environment column: accuracy and confusion in each, with their uncertainty."""

from .evaluate import evaluate_checkpoint
from .result import EnvironmentFigures, Evaluation


__all__ = ["EnvironmentFigures", "Evaluation", "evaluate_checkpoint"]
