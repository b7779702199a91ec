"""
Which rows go to which of two environments, from logits and labels alone: pure PyTorch.

EIIL (Creager, Jacobsen & Zemel 2021, arXiv 2010.07249) wants the split on which a reference model violates invariance
most. With the risk ℓ_i(w) of row i when its logits are multiplied by w, and q_i its share in the first environment,
the violation is

    V(q) = ½ [ (1/n Σ q_i s_i)² + (1/n Σ (1 − q_i) s_i)² ],     s_i = dℓ_i/dw at w = 1.

s_i depends on row i alone: for cross-entropy it is Σ_k p_k z_k − z_y, with the logits z, p = softmax(z) and the label
y. V is convex in q, so it is largest at a corner of the cube, where every row is in one environment; and with
A = Σ q_i s_i it is a parabola in A, so that corner has all positive s_i on one side and all negative ones on the
other. The authors go there by 10,000 steps of Adam on one logit a row; here it is taken at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..registry import Registry


Split = Callable[[Tensor, Tensor], Tensor]
METHODS: Registry[Split] = Registry("method")


def slopes(logits: Tensor, labels: Tensor) -> Tensor:
    """
    How fast each row's cross-entropy grows with a factor on its logits, at 1: positive where the model is too sure of
    something else than the label. With two classes that is where it is wrong.

    Args:
        logits (`Tensor`): float of shape (n, K), or of shape (n,) or (n, 1): of the second of two classes.
        labels (`Tensor`): int64 of shape (n,), 0 … K − 1.

    Returns:
        `Tensor`: float64 of shape (n,), in nats.

    Raises:
        ValueError: logits that are not finite, or shapes that do not fit.
    """
    z = _checked(logits, labels)
    return (z.softmax(1) * z).sum(1) - z.gather(1, labels[:, None])[:, 0]


def violation(assignment: Tensor, slopes: Tensor) -> Tensor:
    """
    V(q): the mean of both environments' squared gradients of the risk, each a sum over its rows divided by all rows.

    Args:
        assignment (`Tensor`): q, of shape (n,), in [0, 1].
        slopes (`Tensor`): of shape (n,), see [`slopes`].
    """
    return ((assignment * slopes).mean() ** 2 + ((1 - assignment) * slopes).mean() ** 2) / 2


@METHODS.register("eiil")
def eiil(logits: Tensor, labels: Tensor) -> Tensor:
    """
    Environment inference for invariant learning: the split with the largest [`violation`].

    Args:
        logits (`Tensor`), labels (`Tensor`): of a reference model, see [`slopes`].

    Returns:
        `Tensor`: bool of shape (n,), true in the environment that goes against the model.
    """
    return slopes(logits, labels) > 0


@METHODS.register("jtt")
def jtt(logits: Tensor, labels: Tensor) -> Tensor:
    """
    The rows that the reference model gets wrong, as in Just Train Twice (Liu et al. 2021, arXiv 2107.09044).

    Args:
        logits (`Tensor`), labels (`Tensor`): of a reference model, see [`slopes`].

    Returns:
        `Tensor`: bool of shape (n,), true where the model is wrong.
    """
    return _checked(logits, labels).argmax(1) != labels


def _checked(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits of each class, in float64."""
    z = logits.detach().double()
    z = z[:, None] if z.dim() == 1 else z
    if z.dim() != 2 or labels.shape != z.shape[:1]:
        raise ValueError(
            f"Logits of shape {tuple(logits.shape)} do not fit labels of shape {tuple(labels.shape)}: give a row of "
            "logits and one label for each row."
        )
    if z.shape[1] == 1:
        z = torch.nn.functional.pad(z, (1, 0))
    wrong = int((~z.isfinite().all(1)).sum())
    if wrong:
        raise ValueError(
            f"The reference model gives NaN or infinity for {wrong:,} of {len(z):,} rows: its training diverged, or "
            "its weights are damaged; give another model."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < z.shape[1]:
        raise ValueError(f"The labels are not all from 0 to {z.shape[1] - 1}, the classes that the logits are of.")
    return z
