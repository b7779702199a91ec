"""
A look at anyone's data before training: which cues differ between the environments, and which cannot be told from
content. `dataset` is the look, `cues` measures one cue, `texts` finds those in texts, `difficulty` says how hard the
label is in each environment (`regression` and `bag_of_words` are its model), `report` prints, `causal` is invariant
causal prediction.
"""

from .cues import Cue
from .dataset import EnvironmentShare, Inspection, inspect_dataset, seen_rows
from .difficulty import Difficulty


__all__ = ["Cue", "Difficulty", "EnvironmentShare", "Inspection", "inspect_dataset", "seen_rows"]
