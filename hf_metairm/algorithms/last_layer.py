"""The gradient of each row's loss with respect to the last linear layer, in closed form."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..gradients import Risk
from .cross_entropy import OfCrossEntropy, residuals
from .features import OfFeatures
from .risk_objective import WeightedPenalty


class LastLayerRows(NamedTuple):
    """
    What the gradients of some rows are made of: that of row i is residuals_i ⊗ features_i.

    Args:
        loss (`Tensor`): the mean loss, a scalar.
        residuals (`Tensor`): p − t, shape (rows, m). For two classes m = 1, the second of them: the gradient is that
            of a layer with a single output z_1 − z_0, as in [`~hf_metairm.algorithms.irmv1.scale_gradients`]. For more
            m is their number.
        features (`Tensor`): Φ with a constant 1 behind it where the layer has a bias, shape (rows, d).
    """

    loss: Tensor
    residuals: Tensor
    features: Tensor


class OfLastLayer(OfCrossEntropy, OfFeatures, WeightedPenalty):
    """
    A penalty on gradients of the cross-entropy with respect to the last linear layer, its bias included.

    That of row i is (p_i − t_i) ⊗ Φ_i: means over rows of products of the two are all that a penalty needs, and it
    takes one ordinary backward pass. Where `feature_module` names Φ, the layer is one from Φ to the logits, with a
    bias, that is added to the model's own with all weights zero.

    Raises:
        ValueError: at the first step, where the last linear layer does not give the logits.
    """

    settings: Any  # `FeatureSettings` and `PenaltySettings` at once, which a subclass combines.

    def last_layer_rows(self, model: nn.Module, risk: Risk, inputs: Any) -> LastLayerRows:
        """Loss, residuals and features of some rows of one environment."""
        reader = self.reader(model)
        with reader.reading():
            found = self.classified(model, risk, inputs)
        features, classes = reader.features, found.logits.shape[1]
        outputs = getattr(reader.layer, "out_features", classes) if self.settings.feature_module is None else classes
        fits = outputs == classes or (outputs, classes) == (1, 2)
        if len(features) != len(found.logits) or not fits:
            raise ValueError(
                f"In {type(model).__name__} {reader.name} has {len(features)} rows and {outputs} outputs where the "
                f"logits have {len(found.logits)} and {classes}, and {self.title} needs the features that they are "
                "made of: name the module whose output these are with feature_module."
            )
        if self.settings.feature_module is not None or getattr(reader.layer, "bias", None) is not None:
            features = torch.cat([features, features.new_ones(len(features), 1)], 1)
        self.width = features.shape[1]
        errors = residuals(found.logits, found.labels, found.label_smoothing)
        return LastLayerRows(found.loss, errors[:, 1:] if classes == 2 else errors, features)
