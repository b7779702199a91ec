"""Gradients of the algorithms that look at features, rows or gradients: float64 autograd through their definitions."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from hf_metairm.algorithms.coral import feature_distance
from hf_metairm.algorithms.irmv2 import newton_gain

from ..gradients.reference import relative_error
from .made import Net, RowRisk, found_by, made, parts, rows


WEIGHT, RIDGE = 30.0, 0.02
PENALTY = {"penalty_weight": WEIGHT, "penalty_anneal_steps": 1}


def scale_gradient(net, x, labels, smoothing):
    """∇_s R(s ∘ logits) at s = 1, with its graph."""
    logits = net(x)
    scale = torch.ones(1 if logits.shape[1] == 2 else logits.shape[1], dtype=torch.float64, requires_grad=True)
    risk = cross_entropy(logits * scale, labels, label_smoothing=smoothing)
    return torch.autograd.grad(risk, scale, create_graph=True)[0]


def last_layer_gradient(net, x, labels, smoothing):
    """∇R with respect to the weights and the bias of the last layer, with its graph, a row each logit."""
    risk = cross_entropy(net(x), labels, label_smoothing=smoothing)
    found = torch.autograd.grad(risk, list(net.last.parameters()), create_graph=True)
    return torch.cat([found[0], *(bias[:, None] for bias in found[1:])], 1)


def with_constant(net, x):
    features = net.features(x)
    return features if net.last.bias is None else torch.cat([features, torch.ones(len(x), 1).double()], 1)


def irmv2(net, x, labels, smoothing, halved=False):
    features = with_constant(net, x)
    halves = [slice(0, None, 2), slice(1, None, 2)] if halved else [slice(None)] * 2
    gradient, other = (last_layer_gradient(net, x[half], labels[half], smoothing) for half in halves)
    gramian = sum(torch.outer(row, row) for row in features) / len(x)
    delta = RIDGE * gramian.trace() / len(gramian)
    inverse = torch.linalg.inv(gramian + delta * torch.eye(len(gramian)).double())
    return (gradient @ inverse * other).sum()


def gradient_variances(net, x, labels, smoothing):
    of_rows = [last_layer_gradient(net, x[k : k + 1], labels[k : k + 1], smoothing) for k in range(len(x))]
    return torch.stack(of_rows).var(0, correction=0)


def mean_over_pairs(values, distance):
    pairs = list(itertools.combinations(values, 2))
    return sum(distance(a, b) for a, b in pairs) / len(pairs)


def penalty_of(name, net, batches, smoothing):
    """As each is defined, of all rows at once."""
    each = list(batches.values())
    if name.startswith("irmv2"):
        return torch.stack([irmv2(net, x, y, smoothing, name != "irmv2") for x, y in each]).mean()
    if name == "fishr":
        found = torch.stack([gradient_variances(net, x, y, smoothing) for x, y in each])
        return sum((v - found.mean(0)).pow(2).sum() for v in found) / len(found)
    if name == "coral":
        features = [net.features(x) for x, _ in each]
        of_means = mean_over_pairs([f.mean(0) for f in features], lambda a, b: (a - b).pow(2).mean())
        covariances = [torch.cov(f.T, correction=0) for f in features]
        return of_means + mean_over_pairs(covariances, lambda a, b: (a - b).pow(2).mean())
    if name == "ib-irm":
        irm = torch.stack([scale_gradient(net, x, y, smoothing).pow(2).sum() for x, y in each]).mean()
        variance = torch.stack([net.features(x).var(0, correction=0).mean() for x, _ in each]).mean()
        return irm + 7.0 / WEIGHT * variance
    gradients = []
    for x, y in each:
        risk = cross_entropy(net(x), y, label_smoothing=smoothing)
        of_risk = torch.autograd.grad(risk, list(net.parameters()), create_graph=True)
        gradients.append(torch.cat([g.flatten() for g in of_risk]))
    mean = torch.stack(gradients).mean(0)
    return sum((g - mean).pow(2).sum() for g in gradients) / len(gradients)


CASES = {
    "irmv2": {"gramian_ridge": RIDGE},
    "irmv2-halves": {"gramian_ridge": RIDGE, "unbiased_penalty": True},
    "fishr": {"fishr_ema": 0.0},
    "coral": {},
    "ib-irm": {"bottleneck_weight": 7.0},
    "iga": {},
}


@pytest.mark.parametrize("cuts", [1, 3])
@pytest.mark.parametrize(("classes", "bias", "smoothing"), [(2, True, 0.0), (3, True, 0.1), (3, False, 0.0)])
@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_the_definition(name, classes, bias, smoothing, cuts):
    """Over parts of unequal size, too, and with fp16's scale; the weight is whole, and divides the L2 term as well."""
    net, batches = Net(classes, bias), rows(classes)
    algorithm = made(name.removesuffix("-halves"), **PENALTY, **CASES[name], l2_regularization=0.3)
    found = found_by(algorithm, net, batches, number=1, cuts=cuts, smoothing=smoothing, scale=64.0)
    risks = [cross_entropy(net(x), y, label_smoothing=smoothing) for x, y in batches.values()]
    squares = sum(p.pow(2).sum() for p in net.parameters())
    objective = torch.stack(risks).mean() + WEIGHT * penalty_of(name, net, batches, smoothing) + 0.3 * squares
    expected = torch.autograd.grad(objective / WEIGHT, list(net.parameters()))
    assert relative_error(found.gradients, expected) < 1e-9
    assert math.isclose(found.objective, objective.item() / WEIGHT, rel_tol=1e-6), "its L2 term is summed in float32"
    assert all(math.isclose(a, b.item(), rel_tol=1e-9) for a, b in zip(found.risks.values(), risks))


@pytest.mark.parametrize("name", CASES)
def test_before_the_annealing_the_weight_is_one(name):
    net, batches = Net(), rows()
    own = {**CASES[name], "bottleneck_weight": 1.0} if name == "ib-irm" else CASES[name]
    early = found_by(made(name.removesuffix("-halves"), **PENALTY, **CASES[name]), net, batches, number=0)
    plain = found_by(made(name.removesuffix("-halves"), **own), net, batches, number=0)
    assert relative_error(early.gradients, plain.gradients) < 1e-12


@pytest.mark.parametrize("scheme", ["forward", "central"])
def test_finite_differences_give_the_gradient_of_iga(scheme):
    net, batches = Net(), rows()
    exact = found_by(made("iga", **PENALTY), net, batches, number=1)
    settings = {"hessian_product": f"{scheme}_difference"}
    for cuts in (1, 3):
        found = found_by(made("iga", **PENALTY, **settings), net, batches, number=1, cuts=cuts)
        assert relative_error(found.gradients, exact.gradients) < (1e-6 if scheme == "forward" else 1e-8)


def test_a_named_module_gives_the_features():
    net, batches = Net(), rows()
    for name in ("irmv2", "fishr", "coral", "ib-irm"):
        plain = found_by(made(name, **PENALTY), net, batches, number=1)
        named = found_by(made(name, **PENALTY, feature_module="act"), net, batches, number=1)
        assert relative_error(named.gradients, plain.gradients) < 1e-12
        other = found_by(made(name, **PENALTY, feature_module="first"), net, batches, number=1)
        assert relative_error(other.gradients, plain.gradients) > 1e-3


# IRMv2 and the geometry of the features


class Mapped(Net):
    """The same logits from features that went through an invertible affine map."""

    def __init__(self, classes: int, matrix, shift):
        super().__init__(classes)
        plain = Net(classes)
        self.matrix, self.shift = matrix, shift
        with torch.no_grad():
            self.last.weight.copy_(plain.last.weight @ torch.linalg.inv(matrix))
            self.last.bias.copy_(plain.last.bias - self.last.weight @ shift)

    def features(self, x):
        return super().features(x) @ self.matrix.T + self.shift


@pytest.mark.parametrize("classes", [2, 3])
def test_irmv2_is_the_same_under_any_invertible_map_of_the_features_where_the_gradient_is_not(classes):
    generator = torch.Generator().manual_seed(5)
    matrix = torch.randn(5, 5, generator=generator, dtype=torch.float64) + 0.5 * torch.eye(5).double()
    shift = torch.randn(5, generator=generator, dtype=torch.float64)
    plain, mapped, batches = Net(classes), Mapped(classes, matrix, shift), rows(classes)
    for x, _ in batches.values():
        assert torch.allclose(plain(x), mapped(x), atol=1e-10)
    settings = {"penalty_weight": 1.0, "gramian_ridge": 1e-12}
    a, b = (found_by(made("irmv2", **settings), net, batches).logs["irm_penalty"] for net in (plain, mapped))
    assert math.isclose(a, b, rel_tol=1e-6)
    # ‖g_e‖², which is IRMv1's penalty with the last layer in the place of its dummy scale.
    x, y = batches["a"]
    squares = [last_layer_gradient(net, x, y, 0.0).pow(2).sum().item() for net in (plain, mapped)]
    assert not math.isclose(*squares, rel_tol=0.1)


def test_irmv2_is_twice_what_a_newton_step_gains_for_a_squared_error():
    """R(w) = ½ E(Φᵀw − y)² has the Hessian G: its minimum is ½ gᵀG⁻¹g below."""
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    target = torch.randn(20, generator=generator, dtype=torch.float64)
    w = torch.randn(3, generator=generator, dtype=torch.float64)

    def risk(w):
        return 0.5 * (features @ w - target).pow(2).mean()

    best = torch.linalg.lstsq(features, target[:, None]).solution[:, 0]
    gradient = features.T @ (features @ w - target) / 20
    gain = newton_gain((features.T @ features / 20)[None], gradient[None, :, None], 1e-12)
    assert math.isclose(gain, 2 * (risk(w) - risk(best)), rel_tol=1e-6)


# Fishr's running sums


def test_fishr_sums_the_variances_of_earlier_steps():
    """As in DomainBed: γ u + (1 − γ) v, divided by 1 − γ, the derivative through the present v alone."""
    net, ema = Net(), 0.8
    algorithm = made("fishr", **PENALTY, fishr_ema=ema)
    earlier: list[torch.Tensor] = [torch.zeros(())] * 3
    for step in range(4):
        batches = rows(seed=step)
        if step == 2:
            del batches["b"]  # Not every environment is in every batch.
        found = found_by(algorithm, net, batches, number=step)
        indices = [list("abc").index(name) for name in batches]
        smoothed = []
        for k, (x, y) in zip(indices, batches.values()):
            average = ema * earlier[k] + (1 - ema) * gradient_variances(net, x, y, 0.0)
            earlier[k] = average.detach()
            smoothed.append(average / (1 - ema))
        mean = sum(smoothed) / len(smoothed)
        penalty = sum((v - mean).pow(2).sum() for v in smoothed) / len(smoothed)
        weight = WEIGHT if step >= 1 else 1.0
        risk = torch.stack([cross_entropy(net(x), y) for x, y in batches.values()]).mean()
        expected = torch.autograd.grad((risk + weight * penalty) / weight, list(net.parameters()))
        assert relative_error(found.gradients, expected) < 1e-9


def test_fishr_goes_on_from_its_state_by_the_names_of_the_environments():
    whole = made("fishr", **PENALTY)
    found_by(whole, Net(), rows())
    state = whole.state_dict()
    other = type(whole)(whole.settings, ["c", "new", "a"])
    other.load_state_dict(state, ["a", "b", "c"])
    sums = other.state_dict()["variances"]
    assert torch.equal(sums[0], state["variances"][2])
    assert torch.equal(sums[2], state["variances"][0])
    assert not sums[1].any()
    assert not made("fishr", fishr_ema=0.0).has_state


# Fish


def test_fish_is_the_published_algorithm_for_sgd_and_draws_an_order_by_seed_and_step():
    """θ ← θ + ε(θ̃ − θ), by a loop of optimizers, which needs nothing of ours."""
    alpha, epsilon, orders = 0.3, 0.5, set()
    for number in range(6):
        net, batches = Net(), rows()
        found = found_by(made("fish", inner_learning_rate=alpha), net, batches, number=number, cuts=1 + number % 2)
        ours = [p - epsilon * alpha * 3 * g for p, g in zip(net.parameters(), found.gradients)]
        errors = {}
        for order in itertools.permutations(batches):
            inner = Net()
            optimizer = torch.optim.SGD(inner.parameters(), lr=alpha)
            for name in order:
                optimizer.zero_grad()
                RowRisk()(inner, batches[name]).backward()
                optimizer.step()
            theirs = [p + epsilon * (q - p) for p, q in zip(Net().parameters(), inner.parameters())]
            errors[order] = relative_error(ours, theirs)
        best = min(errors, key=errors.get)
        assert errors[best] < 1e-12 < sorted(errors.values())[1]
        orders.add(best)
        again = found_by(made("fish", inner_learning_rate=alpha), Net(), batches, number=number)
        assert relative_error(again.gradients, found.gradients) < 1e-12
    assert len(orders) > 2


def test_fish_follows_the_inner_products_of_the_gradients():
    """Averaged over the orders, up to terms in α²: the gradient of mean R_e − (α/2E) Σ_{i<j} ∇R_i · ∇R_j."""
    net, batches = Net(), rows()
    own = list(net.parameters())
    from hf_metairm.gradients import gradient_along_path

    def error(alpha):
        total = [torch.zeros_like(p) for p in own]
        orders = list(itertools.permutations(batches))
        for order in orders:
            found = gradient_along_path(net, RowRisk(), parts(batches), order, alpha)
            total = [t + g / len(orders) for t, g in zip(total, found.gradients)]
        risks = [RowRisk()(net, rows_of) for rows_of in batches.values()]
        gradients = [torch.autograd.grad(r, own, create_graph=True) for r in risks]
        products = sum(sum((a * b).sum() for a, b in zip(*pair)) for pair in itertools.combinations(gradients, 2))
        objective = torch.stack(risks).mean() - alpha / 6 * products
        return relative_error(total, torch.autograd.grad(objective, own))

    assert error(1e-2) < 1e-3
    assert error(1e-3) < error(1e-2) / 50


# DFR


@pytest.mark.parametrize("cuts", [1, 3])
def test_dfr_weighs_every_class_of_every_environment_alike(cuts):
    net, batches = Net(), rows()
    x, labels = batches["c"]
    batches["c"] = x, labels.clamp(max=1)  # A class that an environment lacks is no group.
    found = found_by(made("dfr"), net, batches, cuts=cuts, smoothing=0.1)
    groups = [
        cross_entropy(net(x[y == c]), y[y == c], label_smoothing=0.1)
        for x, y in batches.values()
        for c in range(3)
        if (y == c).any()
    ]
    assert len(groups) == 8
    expected = torch.autograd.grad(torch.stack(groups).mean(), list(net.parameters()))
    assert relative_error(found.gradients, expected) < 1e-10
    assert math.isclose(found.objective, sum(groups).item() / 8, rel_tol=1e-10)
    assert math.isclose(found.logs["worst_group_risk"], max(groups).item(), rel_tol=1e-10)


def test_the_distance_of_features_of_two_environments():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(9, 4, generator=generator).double(), 2 * torch.randn(7, 4, generator=generator).double() + 1
    means = torch.stack([a.mean(0), b.mean(0)])
    covariances = torch.stack([torch.cov(f.T, correction=0) for f in (a, b)])
    expected = (means[0] - means[1]).pow(2).mean() + (covariances[0] - covariances[1]).pow(2).mean()
    assert math.isclose(feature_distance(means, covariances), expected, rel_tol=1e-12)


def test_the_penalty_of_irmv2_is_too_large_by_what_learning_by_heart_gains_and_that_of_halves_is_not():
    """Features without a word about the label: the gain in truth is 0, on n rows about d/n · E[(p − t)²]."""
    generator = torch.Generator().manual_seed(0)
    count, rows_, d = 400, 60, 6
    features = torch.randn(count, rows_, d, generator=generator, dtype=torch.float64)
    errors = 0.5 - torch.randint(2, (count, rows_, 1), generator=generator).double()
    gramians = features.mT @ features / rows_
    plain = newton_gain(gramians, features.mT @ errors / rows_, 1e-9)
    first, second = (features[:, k::2].mT @ errors[:, k::2] / (rows_ / 2) for k in (0, 1))
    halved = newton_gain(gramians, first, 1e-9, second)
    assert math.isclose(plain.mean(), d / rows_ * 0.25, rel_tol=0.1)
    assert abs(halved.mean()) < 3 * halved.std() / count**0.5 < plain.mean() / 4
