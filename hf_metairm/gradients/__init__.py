"""The gradient of the meta-IRM objective, in plain PyTorch.

Start with [`meta_gradient`]; `std_loss` holds the weights that σ gives each meta-loss, `oracles` the two ways to
evaluate a risk away from the model's own parameters, `hessian` the three kinds of Hessian-vector product, and
`processes` what changes when several processes share the batch.
"""

from .hessian import SCHEMES
from .meta_gradient import META_GRADIENTS, MetaGradient, draw_pairs, meta_gradient, trainable_parameters
from .std_loss import StdLoss


__all__ = [
    "META_GRADIENTS",
    "SCHEMES",
    "MetaGradient",
    "StdLoss",
    "draw_pairs",
    "meta_gradient",
    "trainable_parameters",
]
