"""Two quadratic risks of one weight, for which the documentation states in closed form where σ is zero."""

from __future__ import annotations

import statistics

import pytest
import torch

from hf_metairm.gradients import StdLoss, meta_gradient


SLOPES = {0: 0.8, 1: 0.5}
CURVATURE = 1.3


def risk(model, slope):
    b = model.weight.squeeze()
    return -slope * b + 0.5 * CURVATURE * b**2


def deviation_at(b: float, alpha: float, same_environment: bool) -> float:
    model = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.constant_(model.weight, b)
    options = {"inner_learning_rate": alpha, "same_environment": same_environment}
    return float(meta_gradient(model, risk, SLOPES, std_loss=StdLoss(1.0), **options).deviation)


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.5])
def test_sigma_is_zero_past_the_invariant_model(alpha):
    g, h = sum(SLOPES.values()), CURVATURE
    other = -0.5 * h * alpha**2 * g / (1 - alpha**2 * h**2)
    same = -alpha * (1 - 0.5 * alpha * h) * g / (1 - alpha * h) ** 2

    assert same < other < 0
    assert deviation_at(other, alpha, False) < 1e-12 < deviation_at(0.0, alpha, False)
    assert deviation_at(same, alpha, True) < 1e-12 < deviation_at(0.0, alpha, True)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_three_environments_in_closed_form(reduction):
    """L_ij = R_j(b − α(hb − g_i)): every derivative of J by hand, w_ij among them."""
    slopes, alpha, weight, b = {0: 0.8, 1: 0.5, 2: 0.3}, 0.1, 3.0, 0.2
    h, pairs = CURVATURE, [(i, j) for i in slopes for j in slopes if i != j]
    adapted = {i: b - alpha * (h * b - g) for i, g in slopes.items()}
    losses = [-slopes[j] * adapted[i] + 0.5 * h * adapted[i] ** 2 for i, j in pairs]
    mean, sigma = statistics.fmean(losses), statistics.pstdev(losses)
    n = len(pairs)
    first = {"sum": 1.0, "mean": 2 / n}[reduction]
    w = [first + weight * (loss - mean) / (n * sigma) for loss in losses]
    by_hand = sum(w_ij * (h * adapted[i] - slopes[j]) * (1 - alpha * h) for w_ij, (i, j) in zip(w, pairs))

    model = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.constant_(model.weight, b)
    options = {"inner_learning_rate": alpha, "std_loss": StdLoss(weight), "reduction": reduction}
    found = meta_gradient(model, risk, slopes, **options)
    assert float(found.gradients[0]) == pytest.approx(by_hand, rel=1e-10)
    assert float(found.objective) == pytest.approx(first * sum(losses) + weight * sigma, rel=1e-12)
