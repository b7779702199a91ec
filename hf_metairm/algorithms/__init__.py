"""
Algorithms over environments, in plain PyTorch: one file each, registered under the name that the command line, results
and cards use.

Every file of this folder is loaded, so a new algorithm is a new file. `base` says what an algorithm is; start from
`risk_objective` for one whose objective is a function of the environments' risks.
"""

import importlib
import pkgutil

from .base import ALGORITHMS, Algorithm, Step, StepGradient
from .description import Description
from .settings import AlgorithmSettings


# ERM stands first wherever algorithms are listed: it is what the others are compared with.
for _name in ("erm", *(module.name for module in pkgutil.iter_modules(__path__))):
    importlib.import_module(f"{__name__}.{_name}")

__all__ = ["ALGORITHMS", "Algorithm", "AlgorithmSettings", "Description", "Step", "StepGradient"]
