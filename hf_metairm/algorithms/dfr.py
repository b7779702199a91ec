"""DFR: the last layers anew, with every class of every environment weighing the same (Kirichenko et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from ..gradients import Risk
from .base import Logs, Step, algorithm
from .cross_entropy import OfCrossEntropy
from .description import Description


@algorithm("dfr")
class DFR(OfCrossEntropy):
    """
    Deep feature reweighting: ERM in which every class of every environment has the same weight, the mean over the
    pairs (e, c) in the batch of R_ec, the mean loss over the rows of class c in environment e.

    That is the half of it which is an objective. The other, that only the last layers are trained, on other rows than
    the encoder, is how the model is trained: `--stages two` of `hf-metairm train` and `tune`, or a model in whose
    encoder nothing requires a gradient. Kirichenko et al. 2023 (arXiv 2204.02937) draw as many rows from every group
    and fit a linear layer with an L1 term; here all rows are used, weighted, and the head of the two stages is a small
    nonlinear one, with `l2_regularization`. Their groups are classes and *cues*; here they are classes and
    environments, and within an environment the cue still goes with the class. Logged: `worst_group_risk`.

    Raises:
        ValueError: at the first step, for a model whose loss is not the cross-entropy of its logits.
    """

    title = "DFR"
    tags = ("dfr", "deep-feature-reweighting", "last-layer-retraining")
    paper = """@inproceedings{kirichenko2023last,
  title={Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations},
  author={Kirichenko, Polina and Izmailov, Pavel and Wilson, Andrew Gordon},
  booktitle={International Conference on Learning Representations},
  year={2023}
}"""

    def statistics(self, model: nn.Module, risk: Risk, inputs: Any) -> Tensor:
        """The risk, and of each class its part in the loss and its share of the rows: shape (1 + 2k,)."""
        loss, logits, labels, smoothing = self.classified(model, risk, inputs)
        losses = cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        of_class = one_hot(labels, logits.shape[1]).to(losses)
        return torch.cat([loss.reshape(1).to(losses), losses @ of_class / len(losses), of_class.mean(0)])

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        """The mean over the groups that have rows in the batch."""
        sums, counts = others.chunk(2, dim=1)
        present = counts > 0
        groups = sums[present] / counts[present]
        logs["worst_group_risk"] = groups.amax()
        return groups.mean()

    def describe(self) -> Description:
        """The mean of the groups' risks."""
        return Description(
            f"J(θ) = (1/n) Σ_e Σ_c R_ec(θ){self._l2_term()}",
            "R_ec is the mean loss over the rows of class c in environment e, n the number of such pairs.",
            "another share of the classes, or another mix of the training environments, than that of the data",
            "A cue that goes with the class in all of them, to whatever degree, will have been learned.",
        )
