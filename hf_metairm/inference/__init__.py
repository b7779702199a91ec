"""
Environments for data that have no column of them: the rows on which a reference model is right, against those on which
it is wrong. `split` divides rows, given logits and labels; `reference` makes the logits, `held_out` tests whether the
split is of any use, `infer` does all three; `report` says what separates the environments.
"""

from .infer import InferredEnvironments, infer_environments
from .split import METHODS, eiil, jtt, slopes, violation


__all__ = ["METHODS", "InferredEnvironments", "eiil", "infer_environments", "jtt", "slopes", "violation"]
