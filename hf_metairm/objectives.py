"""What the baselines put beside the risks: pure functions of the environments' risks and of a few more statistics.

E is the number of environments in the batch, R_e the mean loss over the rows of environment e, in nats.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def scale_gradients(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    r"""
    The gradient of each row's cross-entropy with respect to a dummy scale s = 1 that multiplies the logits.

    With z the logits, p = softmax(z) and t the target (one-hot, or smoothed), d/ds_c CE(s ∘ z, t) = z_c (p_c − t_c) at
    s = 1. For two classes s is one number and the terms are summed: this is the gradient with respect to a scale on
    the single logit z_1 − z_0 of Arjovsky et al. 2019 (arXiv 1907.02893, section 3.1). For more classes s is a vector
    with one entry per class, as in Choe et al. 2020 (arXiv 2004.05007).

    The form is closed, so that the penalty needs one ordinary backward pass and no second derivative of the model.

    Args:
        logits (`Tensor`): float of shape (rows, k), k ≥ 2.
        labels (`Tensor`): int64 class ids of shape (rows,).
        label_smoothing (`float`, *optional*, defaults to 0.0): ε, the share of the target spread over all classes.

    Returns:
        `Tensor`: shape (rows, 1) for two classes, else (rows, k); differentiable in the logits.

    Raises:
        ValueError: logits or labels of another shape.
    """
    if logits.dim() != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"Logits of shape {tuple(logits.shape)} with labels of shape {tuple(labels.shape)} have no IRM penalty: "
            "give (rows, k) logits for k ≥ 2 classes and one class id for each row."
        )
    classes = logits.shape[1]
    target = one_hot(labels, classes).to(logits.dtype) * (1 - label_smoothing) + label_smoothing / classes
    terms = logits * (logits.softmax(-1) - target)
    return terms.sum(-1, keepdim=True) if classes == 2 else terms


def irm_penalty(gradients: Tensor, others: Tensor | None = None) -> Tensor:
    r"""
    The penalty of IRMv1: mean_e ‖g_e‖², where g_e is the gradient of R_e with respect to the dummy scale.

    IRMv1's objective is mean_e R_e + weight · mean_e ‖g_e‖² (Arjovsky et al. 2019, arXiv 1907.02893, section 3.1).

    On a batch the square of an estimated gradient is too large by the gradient's variance. With the gradients of two
    disjoint halves of the batch, mean_e g_e · g'_e is unbiased (section 3.2 there); it may be negative.

    Args:
        gradients (`Tensor`): shape (E, m): row means of [`scale_gradients`].
        others (`Tensor`, *optional*): the same from the other half of the rows, shape (E, m).

    Returns:
        `Tensor`: a scalar.
    """
    return (gradients * (gradients if others is None else others)).sum(-1).mean()


def risk_variance(risks: Tensor) -> Tensor:
    r"""
    The penalty of V-REx: the population variance of the risks, mean_e (R_e − R̄)².

    V-REx's objective is Σ_e R_e + weight · Var{R_e} (Krueger et al. 2021, arXiv 2003.00688, section 3.2). The authors'
    Colored MNIST code has (R_1 − R_2)² in place of the variance, which is four times as large.

    Args:
        risks (`Tensor`): shape (E,).

    Returns:
        `Tensor`: a scalar.
    """
    return risks.var(correction=0)


def worst_risk_excess(risks: Tensor) -> Tensor:
    r"""
    The penalty of MM-REx: max_e R_e − R̄.

    The objective here is Σ_e R_e + weight · (max_e R_e − R̄). MM-REx minimizes (1 − E λ) max_e R_e + λ Σ_e R_e for a
    λ ≤ 1/E (Krueger et al. 2021, arXiv 2003.00688, section 3.1); E times that, with weight = E (1 − E λ), is the form
    here. Weight 0 is ERM, weight E (λ = 0) robust optimization of E times the worst risk, and beyond it the worst-case
    mixture is extrapolated. For two environments the penalty is |R_1 − R_2| / 2. Where several risks are the largest
    they share the gradient.

    Args:
        risks (`Tensor`): shape (E,).

    Returns:
        `Tensor`: a scalar, not negative.
    """
    return risks.amax() - risks.mean()


def exponentiated_gradient(log_weights: Tensor, risks: Tensor, step_size: float) -> Tensor:
    r"""
    One ascent step on group DRO's weights: q_e ← q_e exp(η R_e) / Σ_f q_f exp(η R_f), as logarithms.

    Algorithm 1 of Sagawa et al. 2020 (arXiv 1911.08731). An environment that is not in the batch takes part with
    R_e = 0: its weight changes by the normalization alone.

    Args:
        log_weights (`Tensor`): log q, shape (E,).
        risks (`Tensor`): shape (E,).
        step_size (`float`): η.

    Returns:
        `Tensor`: the new log q, shape (E,), normalized.
    """
    return torch.log_softmax(log_weights + step_size * risks, dim=0)


def weighted_risk(risks: Tensor, weights: Tensor) -> Tensor:
    r"""
    The objective of group DRO: Σ_e q_e R_e, in which the weights q are constants (Sagawa et al. 2020, algorithm 1).

    Args:
        risks (`Tensor`): shape (E,).
        weights (`Tensor`): q, shape (E,).

    Returns:
        `Tensor`: a scalar.
    """
    return (weights.detach() * risks).sum()
