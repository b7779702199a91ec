"""Finite differences in the precision that people train in, and where ordinary training goes and `exact` does not."""

from __future__ import annotations

import pytest
import torch

from hf_metairm.gradients import StdLoss, meta_gradient

from .models import SmallMLP, bert_batches, bert_risk, mlp_batches, mlp_risk, small_bert, with_lora
from .reference import relative_error


def make(name):
    torch.manual_seed(0)
    if name == "mlp":
        return SmallMLP(dropout=0.0), mlp_risk, mlp_batches(2, rows=32, dtype=torch.float32)
    bert = small_bert()
    return (with_lora(bert) if name == "lora" else bert).eval(), bert_risk, bert_batches(2)


def doubled(batches):
    def double(value):
        if isinstance(value, dict):
            return {k: double(v) for k, v in value.items()}
        if isinstance(value, tuple):
            return tuple(map(double, value))
        return value.double() if value.is_floating_point() else value

    return {e: double(batch) for e, batch in batches.items()}


@pytest.mark.parametrize("name", ["mlp", "bert", "lora"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_float32_gradients_against_float64_autograd(name, steps):
    model, risk, batches = make(name)
    options = {"inner_steps": steps, "std_loss": StdLoss(1.0)}
    found = {
        scheme: meta_gradient(model, risk, batches, kind="finite_difference", scheme=scheme, **options).gradients
        for scheme in ("forward", "central")
    }
    found["exact"] = meta_gradient(model, risk, batches, kind="exact", **options).gradients
    reference = meta_gradient(model.double(), risk, doubled(batches), kind="exact", **options).gradients
    for name, bound in (("forward", 2e-3), ("central", 2e-4), ("exact", 1e-5)):
        assert relative_error([g.double() for g in found[name]], reference) < bound, name


def test_checkpointing_and_sdpa_equal_exact_without_them():
    model, risk, batches = make("bert")
    exact = meta_gradient(small_bert(attention="eager").eval(), risk, batches, kind="exact").gradients
    model.train()  # Checkpointing is for training; the dropouts are off.
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.config.attention_probs_dropout_prob = 0.0
    for layer in model.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.0
    model.gradient_checkpointing_enable()
    runs = 0

    def count(module, args, output):
        nonlocal runs
        runs += 1

    model.bert.encoder.layer[0].attention.register_forward_hook(count)
    ours = meta_gradient(model, risk, batches, kind="finite_difference").gradients
    assert runs > 6, "the layers really were run a second time in the backward passes"
    assert relative_error(ours, exact) < 2e-3


@pytest.mark.parametrize("kind", ["exact", "finite_difference", "crossed_difference", "first_order"])
def test_loss_scale_changes_nothing(kind):
    model, risk, batches = make("bert")
    plain, scaled = (
        meta_gradient(model.double(), risk, batches, kind=kind, scheme="central", loss_scale=s).gradients
        for s in (1.0, 1024.0)
    )
    assert relative_error(scaled, plain) < 1e-8


@pytest.mark.parametrize(("kind", "bound"), [("exact", 0.05), ("first_order", None)])
def test_bf16_autocast(kind, bound):
    """Double backward works under autocast; its answer is bfloat16's 8 bits away from float32's."""
    model, risk, batches = make("bert")

    def autocast_risk(model, batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return risk(model, batch)

    ours = meta_gradient(model, autocast_risk, batches, kind=kind).gradients
    reference = meta_gradient(model, risk, batches, kind=kind).gradients
    assert relative_error(ours, reference) < (bound or 0.05)


@pytest.mark.parametrize("kind", ["finite_difference", "crossed_difference", "first_order"])
def test_compiled_model_gives_what_the_plain_one_gives(kind):
    model, risk, batches = make("mlp")
    plain = meta_gradient(model, risk, batches, kind=kind).gradients
    compiled = torch.compile(model, backend="aot_eager")
    assert relative_error(meta_gradient(compiled, risk, batches, kind=kind).gradients, plain) < 1e-4
    with pytest.raises(ValueError, match=r"torch\.compile"):
        meta_gradient(compiled, risk, batches, kind="exact")
