"""An algorithm in one file: tilted risk, a soft maximum of the environments' risks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hf_metairm.algorithms import Description
from hf_metairm.algorithms.base import algorithm
from hf_metairm.algorithms.risk_objective import RiskObjective
from hf_metairm.algorithms.settings import AlgorithmSettings, positive


@dataclass
class TiltedSettings(AlgorithmSettings):
    """
    Settings of tilted risk.

    Args:
        tilt (`float`, *optional*, defaults to 1.0):
            t, in 1/nats: the larger, the more the worst environment counts.
    """

    tilt: float = field(default=1.0, metadata={"help": "How much the worst environment counts (t)."})

    def check_settings(self):
        """Refuse a tilt that is not above zero."""
        super().check_settings()
        positive(self, "tilt")


@algorithm("tilted-erm")
class TiltedERM(RiskObjective):
    """(1/t) log mean_e exp(t R_e). Logged: `tilt_excess`, by how much that is above the mean risk."""

    title = "tilted ERM"
    tags = ("tilted-erm",)
    paper = """@inproceedings{li2021tilted,
  title={Tilted Empirical Risk Minimization},
  author={Li, Tian and Beirami, Ahmad and Sanjabi, Maziar and Smith, Virginia},
  booktitle={International Conference on Learning Representations},
  year={2021}
}"""
    Settings = TiltedSettings

    def objective(self, risks, others, environments, shares, step, logs):
        """The soft maximum of the risks, which have shape (E,)."""
        tilt = self.settings.tilt
        objective = ((tilt * risks).logsumexp(0) - math.log(len(risks))) / tilt
        logs["tilt_excess"] = objective - risks.mean()
        return objective

    def describe(self):
        """What the model card says of it."""
        return Description(
            f"J(θ) = (1/t) log mean_e exp(t R_e(θ)){self._l2_term()},   t = {self.settings.tilt:g}",
            "R_e is the mean loss over the rows of environment e.",
            "training environments in which the model does worse than in others, by weighing them more",
        )
