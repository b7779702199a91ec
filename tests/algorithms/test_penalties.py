"""Values and gradients of the objectives, against closed forms and float64 autograd of their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from hf_metairm.algorithms.group_dro import exponentiated_gradient, weighted_risk
from hf_metairm.algorithms.irmv1 import irm_penalty, scale_gradients
from hf_metairm.algorithms.rex import risk_variance, worst_risk_excess


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(function, value):
    value = value.clone().requires_grad_()
    return torch.autograd.grad(function(value), value)[0]


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_irm_penalty_is_the_squared_gradient_with_respect_to_a_scale(classes, smoothing):
    """And so is its gradient: against double backward through the definition."""
    labels = torch.arange(10) % classes

    def by_definition(logits):
        scale = torch.ones(1 if classes == 2 else classes, dtype=torch.float64, requires_grad=True)
        risk = cross_entropy(logits * scale, labels, label_smoothing=smoothing)
        return torch.autograd.grad(risk, scale, create_graph=True)[0].pow(2).sum()

    def ours(logits):
        return irm_penalty(scale_gradients(logits, labels, smoothing).mean(0, keepdim=True))

    logits = 2 * draw(10, classes)
    assert torch.allclose(ours(logits), by_definition(logits), rtol=1e-12)
    assert torch.allclose(gradient(ours, logits), gradient(by_definition, logits), rtol=1e-10, atol=1e-14)


def test_two_classes_are_the_single_logit_of_the_paper():
    logits, labels = draw(9, 2), torch.arange(9) % 2
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    single = (logits[:, 1] - logits[:, 0]) * scale
    risk = torch.nn.functional.binary_cross_entropy_with_logits(single, labels.double())
    (expected,) = torch.autograd.grad(risk, scale)
    assert torch.allclose(scale_gradients(logits, labels).mean(0), expected, rtol=1e-12)


def test_halves_give_the_square_of_the_true_gradient_on_average():
    """Over all ways to draw 4 of 6 rows and halve them, the product is unbiased where the square is not."""
    import itertools

    rows = draw(6)
    product, square = [], []
    for drawn in itertools.permutations(rows, 4):
        values = torch.stack(drawn).unsqueeze(1)
        product.append(irm_penalty(values[::2].mean(0, keepdim=True), values[1::2].mean(0, keepdim=True)))
        square.append(irm_penalty(values.mean(0, keepdim=True)))
    # E[x_i x_j] for two different rows out of n: ((Σx)² − Σx²) / (n (n − 1)).
    expected = (rows.sum() ** 2 - (rows**2).sum()) / 30
    assert torch.allclose(torch.stack(product).mean(), expected, rtol=1e-10)
    assert torch.stack(square).mean() > expected + 0.1


def test_irm_penalty_is_the_mean_over_environments():
    g = draw(3, 4)
    assert math.isclose(irm_penalty(g), (g**2).sum() / 3, rel_tol=1e-12)
    assert math.isclose(irm_penalty(g, 2 * g), 2 * (g**2).sum() / 3, rel_tol=1e-12)


@pytest.mark.parametrize("environments", [2, 3, 5])
def test_variance_of_the_risks(environments):
    risks = draw(environments).abs()
    value = sum((r - risks.mean()) ** 2 for r in risks) / environments
    assert math.isclose(risk_variance(risks), value, rel_tol=1e-12)
    assert torch.allclose(gradient(risk_variance, risks), 2 * (risks - risks.mean()) / environments, rtol=1e-12)
    if environments == 2:
        assert math.isclose(4 * risk_variance(risks), (risks[0] - risks[1]) ** 2, rel_tol=1e-12)


def test_excess_of_the_worst_risk():
    risks = torch.tensor([0.3, 1.1, 0.7], dtype=torch.float64)
    assert math.isclose(worst_risk_excess(risks), 1.1 - 0.7)
    expected = torch.tensor([-1 / 3, 2 / 3, -1 / 3], dtype=torch.float64)
    assert torch.allclose(gradient(worst_risk_excess, risks), expected)
    assert math.isclose(worst_risk_excess(risks[:2]), 0.4)
    assert torch.equal(gradient(worst_risk_excess, torch.ones(2)), torch.zeros(2)), "equal risks share the gradient"


@pytest.mark.parametrize("weight", [0.0, 3.0, 40.0])
def test_mm_rex_is_the_worst_affine_mixture_of_the_paper(weight):
    """E times the largest Σ λ_e R_e with Σ λ_e = 1 and λ_e ≥ λ_min, where weight = E (1 − E λ_min)."""
    risks, count = draw(3).abs(), 3
    least = (1 - weight / count) / count
    corners = [
        sum((1 - (count - 1) * least if e == best else least) * r for e, r in enumerate(risks))
        for best in range(count)
    ]
    assert math.isclose(risks.sum() + weight * worst_risk_excess(risks), count * max(corners), rel_tol=1e-9)


def test_group_dro_weights_are_exponentials_of_the_summed_risks():
    start = torch.full((3,), 1 / 3, dtype=torch.float64).log()
    first, second = draw(3).abs(), draw(3, seed=1).abs()
    weights = exponentiated_gradient(exponentiated_gradient(start, first, 0.5), second, 0.5).exp()
    expected = torch.exp(0.5 * (first + second))
    assert torch.allclose(weights, expected / expected.sum(), rtol=1e-12)
    assert exponentiated_gradient(start, 1e5 * first, 1.0).exp().isfinite().all()
    assert torch.allclose(gradient(lambda r: weighted_risk(r, r), first), first), "the weights are constants"


@pytest.mark.parametrize(("logits", "labels"), [((4, 1), (4,)), ((4,), (4,)), ((4, 3), (5,)), ((4, 3, 2), (4, 3))])
def test_other_shapes_are_refused(logits, labels):
    with pytest.raises(ValueError, match="no IRM penalty"):
        scale_gradients(torch.zeros(logits), torch.zeros(labels, dtype=torch.long))
