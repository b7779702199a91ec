from __future__ import annotations

import pytest
import torch

from hf_metairm.gradients import StdLoss, draw_pairs, meta_gradient, trainable_parameters

from .models import SmallMLP, bert_batches, bert_risk, mlp_batches, mlp_risk, small_bert, with_lora
from .reference import reference_gradient, relative_error


def make(name: str, environments: int):
    torch.manual_seed(0)
    if name == "mlp":
        return SmallMLP().double().train(), mlp_risk, mlp_batches(environments)
    bert = small_bert()
    model = with_lora(bert) if name == "lora" else bert
    return model.double(), bert_risk, bert_batches(environments)


def compare(
    name,
    environments,
    steps,
    std_weight,
    *,
    kind="exact",
    scheme="forward",
    same=False,
    outer="all",
    dropout=True,
    mean=False,
):
    model, risk, batches = make(name, environments)
    if not dropout:
        model.eval()
    options = {"outer_environments": outer, "same_environment": same}
    pairs = draw_pairs(range(environments), generator=torch.Generator().manual_seed(4), **options)
    drawn = sum(len(js) for js in pairs.values())
    sum_weight = 2 / drawn if mean else 1.0 if same else environments * (environments - 1) / drawn
    torch.manual_seed(7)
    reference, objective = reference_gradient(
        model,
        risk,
        batches,
        pairs,
        steps=steps,
        std_weight=std_weight,
        sum_weight=sum_weight,
        first_order=kind == "first_order",
    )
    torch.manual_seed(7)
    ours = meta_gradient(
        model,
        risk,
        batches,
        inner_steps=steps,
        kind=kind,
        scheme=scheme,
        std_loss=StdLoss(std_weight),
        reduction="mean" if mean else "sum",
        generator=torch.Generator().manual_seed(4),
        **options,
    )
    assert torch.allclose(ours.objective, objective, rtol=1e-12)
    return relative_error(ours.gradients, reference)


@pytest.mark.parametrize("name", ["mlp", "bert", "lora"])
@pytest.mark.parametrize("environments", [2, 3, 4])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_exact_equals_autograd_through_the_whole_objective(name, environments, steps):
    for std_weight in (0.0, 1.0, 10.0):
        for options in ({}, {"outer": 1}, {"same": True}):
            assert compare(name, environments, steps, std_weight, **options) < 1e-9


@pytest.mark.parametrize("environments", [2, 3, 4])
@pytest.mark.parametrize("options", [{}, {"outer": 1}, {"same": True}], ids=["all", "drawn", "same"])
def test_the_mean_equals_autograd_through_twice_the_mean(environments, options):
    for steps in (1, 2):
        assert compare("mlp", environments, steps, 3.0, mean=True, **options) < 1e-9


@pytest.mark.parametrize("environments", [2, 3, 5])
def test_the_mean_is_the_published_objective_with_a_weight_that_grows_with_the_pairs(environments):
    model, risk, batches = make("mlp", environments)
    model.eval()
    half = environments * (environments - 1) / 2
    mean = meta_gradient(model, risk, batches, std_loss=StdLoss(3.0), reduction="mean")
    published = meta_gradient(model, risk, batches, std_loss=StdLoss(3.0 * half))
    assert relative_error([half * g for g in mean.gradients], published.gradients) < 1e-12
    assert torch.allclose(half * mean.objective, published.objective, rtol=1e-12)
    # With two it is the published one to the last bit.
    plain = meta_gradient(model, risk, batches, std_loss=StdLoss(3.0))
    assert (relative_error(mean.gradients, plain.gradients) == 0) == (environments == 2)


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="use sum or mean"):
        meta_gradient(*make("mlp", 2), reduction="median")


@pytest.mark.parametrize("name", ["mlp", "bert"])
@pytest.mark.parametrize("environments", [2, 3])
def test_first_order_equals_its_own_reference(name, environments):
    for steps in (1, 3):
        assert compare(name, environments, steps, 1.0, kind="first_order") < 1e-9
    # It is not the same thing as the exact gradient.
    model, risk, batches = make(name, environments)
    model.eval()
    exact, first = (
        meta_gradient(model, risk, batches, inner_learning_rate=0.5, kind=k).gradients
        for k in ("exact", "first_order")
    )
    assert relative_error(first, exact) > 1e-2


@pytest.mark.parametrize("name", ["mlp", "bert", "lora"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_finite_differences_agree_with_autograd_in_float64(name, steps):
    assert compare(name, 3, steps, 1.0, kind="finite_difference", scheme="central") < 1e-6
    assert compare(name, 2, steps, 1.0, kind="finite_difference", scheme="forward") < 1e-6


def test_many_outer_draws_average_to_all_pairs():
    model, risk, batches = make("mlp", 4)
    model.eval()
    options = {"std_loss": StdLoss(0.0)}
    everything = meta_gradient(model, risk, batches, **options).gradients
    generator = torch.Generator().manual_seed(0)
    draws = [
        meta_gradient(model, risk, batches, outer_environments=1, generator=generator, **options).gradients
        for _ in range(600)
    ]
    mean = [torch.stack(g).mean(0) for g in zip(*draws)]
    single = relative_error(draws[0], everything)
    assert relative_error(mean, everything) < 5 * single / 600**0.5


def test_running_means_for_each_inner_environment_are_over_whatever_it_is_judged_on():
    """By hand: L̂_i ← m L̂_i + (1 − m) L_ij, less its bias, for the j that was drawn."""
    model, risk, batches = make("mlp", 4)
    model.eval()
    std_loss, generator = StdLoss(1.0, momentum=0.6, by_inner=True), torch.Generator().manual_seed(0)
    means, drawn = dict.fromkeys(range(4), 0.0), set()
    for number in range(1, 5):
        found = meta_gradient(
            model, risk, batches, kind="first_order", outer_environments=1, std_loss=std_loss, generator=generator
        )
        for (i, j), loss in found.meta_losses.items():
            means[i] = 0.6 * means[i] + 0.4 * float(loss)
            drawn.add((i, j))
        expected = torch.tensor([m / (1 - 0.6**number) for m in means.values()], dtype=torch.float64)
        assert torch.allclose(found.deviation, expected.std(correction=0), rtol=1e-10)
    assert len(drawn) > 4, "not always the same"


@pytest.mark.parametrize("kind", ["exact", "finite_difference", "first_order"])
def test_micro_batches_give_the_gradient_of_the_joint_batch(kind):
    model, risk, _ = make("mlp", 2)
    model.eval()
    whole = mlp_batches(2, rows=6)
    parts = {e: [(x[:3], y[:3]), (x[3:], y[3:])] for e, (x, y) in whole.items()}
    joint = meta_gradient(model, risk, whole, kind=kind, inner_steps=2).gradients
    split = meta_gradient(model, risk, parts, kind=kind, inner_steps=2).gradients
    assert relative_error(split, joint) < (1e-6 if kind == "finite_difference" else 1e-12)


@pytest.mark.parametrize("kind", ["exact", "finite_difference"])
def test_a_gradient_and_its_hessian_product_draw_the_same_dropout_mask(kind):
    """With two micro-batches both kinds evaluate the risk anew for the Hessian; α = 50 makes a wrong mask loud."""
    torch.manual_seed(0)
    model = SmallMLP(dropout=0.5).double().train()
    whole = mlp_batches(2, rows=6)
    parts = {e: [(x[:3], y[:3]), (x[3:], y[3:])] for e, (x, y) in whole.items()}
    kept = StdLoss(0.0)

    def reference():
        theta = list(trainable_parameters(model))
        # θ'_i by micro-batches, in the order in which the library draws its masks.
        total = 0
        named = dict(model.named_parameters())
        for i, j in ((0, 1), (1, 0)):
            inner = sum(mlp_risk(model, part) for part in parts[i]) / 2
            gradients = torch.autograd.grad(inner, theta, create_graph=True, allow_unused=True)
            adapted = {n: p if g is None else p - 50.0 * g for (n, p), g in zip(named.items(), gradients)}
            for x, y in parts[j]:
                logits = torch.func.functional_call(model, adapted, (x,))
                total = total + torch.nn.functional.cross_entropy(logits, y) / 2
        return torch.autograd.grad(total, theta, allow_unused=True)

    torch.manual_seed(11)
    expected = [torch.zeros_like(p) if g is None else g for g, p in zip(reference(), model.parameters())]
    torch.manual_seed(11)
    ours = meta_gradient(model, mlp_risk, parts, inner_learning_rate=50.0, kind=kind, scheme="central", std_loss=kept)
    assert relative_error(ours.gradients, expected) < (1e-9 if kind == "exact" else 1e-5)


@pytest.mark.parametrize("kind", ["exact", "finite_difference", "crossed_difference", "first_order"])
def test_parameters_gradients_and_randomness_are_left_as_they_were(kind):
    model, risk, batches = make("bert", 2)
    model = model.float()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    marked = next(model.parameters())
    marked.grad = torch.ones_like(marked)
    meta_gradient(model, risk, batches, kind=kind)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(marked.grad, torch.ones_like(marked))

    calls = 0

    def interrupted(model, batch):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return risk(model, batch)

    with pytest.raises(KeyboardInterrupt):
        meta_gradient(model, interrupted, batches, kind=kind)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_all_kinds_draw_the_same_masks_in_the_same_order():
    states = []
    for kind in ("exact", "finite_difference", "first_order"):
        model, risk, batches = make("mlp", 3)
        torch.manual_seed(2)
        meta_gradient(model, risk, batches, kind=kind, inner_steps=2)
        states.append(torch.get_rng_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def test_batch_norm_statistics_move_alike_in_every_kind():
    statistics = []
    for kind in ("exact", "finite_difference"):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3)).double()
        meta_gradient(model, mlp_risk, mlp_batches(2), kind=kind)
        statistics.append(model[1].running_mean.clone())
    assert torch.allclose(*statistics, rtol=1e-12)


def test_a_zero_vector_needs_no_step():
    """All rows alike and the model at its optimum for them: every gradient is zero, and so is the answer."""
    model = torch.nn.Linear(3, 1).double()

    def flat(model, batch):
        return (model(batch) * 0).sum()

    batches = {e: torch.ones(2, 3, dtype=torch.float64) for e in range(2)}
    for scheme in ("forward", "central"):
        gradients = meta_gradient(model, flat, batches, kind="finite_difference", scheme=scheme).gradients
        assert all(torch.equal(g, torch.zeros_like(g)) for g in gradients)


def test_sdpa_attention_keeps_its_fast_kernel_outside_of_the_double_backward():
    from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

    model, risk, batches = make("bert", 2)
    fast = []

    def watching(model, batch):
        fast.append(set(_cur_sdpa_kernel_backends()) != {SDPBackend.MATH})
        return risk(model, batch)

    meta_gradient(model, watching, batches, kind="exact")
    assert fast == [False, True, False, True]


@pytest.mark.parametrize(
    "options",
    [{"kind": "third_order"}, {"kind": "finite_difference", "scheme": "backward"}, {"outer_environments": 5}],
)
def test_bad_input_is_refused_with_the_way_out(options):
    model, risk, batches = make("mlp", 2)
    with pytest.raises(ValueError, match="use "):
        meta_gradient(model, risk, batches, **options)


def test_exact_refuses_what_would_be_silently_wrong():
    _, risk, batches = make("bert", 2)
    model = small_bert()
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match="finite_difference"):
        meta_gradient(model, risk, batches, kind="exact")
    with pytest.raises(ValueError, match="float32"):
        meta_gradient(small_bert().bfloat16(), risk, batches, kind="finite_difference")
