"""`meta_gradient="auto"`: what is chosen, when its own error overrules it, and that a resumed run goes on with it."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

from hf_metairm import MetaIRMConfig, MetaIRMTrainer
from hf_metairm.algorithms import meta_irm
from hf_metairm.gradients import choose_kind, exact, meta_gradient

from ..gradients.models import bert_batches, bert_risk, small_bert
from .test_meta_irm import Interrupt
from .toys import Classifier, arguments, numbers


@pytest.fixture
def _all_are_large(monkeypatch):
    monkeypatch.setattr(exact, "SMALL", 0)


def trained(tmp_path, *callbacks, **options):
    defaults = {"logging_strategy": "steps", "logging_steps": 1, "max_steps": 4, "inner_learning_rate": 0.01}
    args = arguments(tmp_path, **{**defaults, **options})
    trainer = MetaIRMTrainer(Classifier(tied=False), args, train_dataset=numbers(), callbacks=list(callbacks))
    with contextlib.suppress(KeyboardInterrupt):
        trainer.train()
    return trainer


def errors(trainer):
    """By step, where it was measured."""
    return {e["step"] - 1: e["meta_gradient_error"] for e in trainer.state.log_history if "meta_gradient_error" in e}


def test_small_models_are_exact_and_others_by_alpha(monkeypatch):
    model = nn.Linear(3, 2)
    assert choose_kind(model, 0.01).kind == choose_kind(model, 1.0, inner_steps=3).kind == "exact"
    assert choose_kind(torch.compile(model, backend="eager"), 0.01).kind == "crossed_difference"
    monkeypatch.setattr(exact, "SMALL", 0)
    assert choose_kind(model, 0.02).kind == "crossed_difference"
    for options in ({"inner_learning_rate": 0.03}, {"inner_steps": 2}, {"same_environment": True}):
        choice = choose_kind(model, **{"inner_learning_rate": 0.01, **options})
        assert choice.kind == "finite_difference"
        assert next(iter(options)) in choice.because
    assert choose_kind(model.bfloat16(), 0.01).kind == "exact"


def test_the_function_takes_auto_as_well():
    found = [
        meta_gradient(small_bert().eval(), bert_risk, bert_batches(2), kind=kind).gradients
        for kind in ("exact", "auto")
    ]
    assert all(map(torch.equal, *found))


def test_by_default_a_small_model_trains_exactly(tmp_path, caplog):
    caplog.set_level("INFO")
    found = [[*trained(tmp_path, **options).model.parameters()] for options in ({}, {"meta_gradient": "exact"})]
    assert all(map(torch.equal, *found))
    assert caplog.text.count("meta_gradient is 'exact': the model has 0.0 million parameters") == 1


@pytest.mark.usefixtures("_all_are_large")
def test_crossed_differences_stand_where_their_error_is_small(tmp_path, caplog):
    caplog.set_level("INFO")
    trainer = trained(tmp_path)
    assert caplog.text.count("meta_gradient is ") == 1
    assert "meta_gradient is 'crossed_difference': inner_learning_rate=0.01 is small" in caplog.text
    assert list(errors(trainer)) == [0]
    assert 0 < errors(trainer)[0] < 0.1
    assert int(trainer.algorithm.state_dict()[meta_irm.CROSSED]) == 1
    assert "crossed difference, chosen by" in trainer.algorithm.describe().formula
    explicit = trained(tmp_path, meta_gradient="crossed_difference", meta_gradient_check_steps=2)
    assert list(errors(explicit)) == [0, 2]
    assert all(map(torch.equal, trainer.model.parameters(), explicit.model.parameters()))
    assert errors(trained(tmp_path, meta_gradient_check_steps=0)) == {}


@pytest.mark.usefixtures("_all_are_large")
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_too_large_an_error_is_followed_by_finite_differences_also_after_a_resume(
    momentum, tmp_path, caplog, monkeypatch
):
    caplog.set_level("INFO")
    monkeypatch.setattr(meta_irm, "TOO_FAR_OFF", 0.0)
    options = {"save_strategy": "steps", "save_steps": 1, "max_steps": 5, "std_loss_momentum": momentum}
    whole = trained(tmp_path / "whole", **options)
    assert "meta_gradient is 'finite_difference': crossed differences were too far off at the first" in caplog.text
    assert "% off at step" not in caplog.text, "it is mended, not complained of"
    assert "finite difference (forward), chosen by" in whole.algorithm.describe().formula

    trained(tmp_path / "killed", Interrupt(3), **options)
    monkeypatch.setattr(meta_irm, "TOO_FAR_OFF", 1.0)  # A new look would let crossed differences stand.
    args = arguments(tmp_path / "killed", **{"inner_learning_rate": 0.01, **options})
    resumed = MetaIRMTrainer(Classifier(tied=False), args, train_dataset=numbers())
    resumed.train(resume_from_checkpoint=True)
    assert all(map(torch.equal, whole.model.parameters(), resumed.model.parameters()))


@pytest.mark.parametrize(("kind", "advice"), [
    ("crossed_difference", "use a smaller inner_learning_rate than 3, or meta_gradient='finite_difference'"),
    ("finite_difference", "finite_difference_scheme='central'"),
])  # fmt: skip
def test_too_large_an_error_of_a_kind_that_was_asked_for_is_warned_of_once(
    kind, advice, tmp_path, caplog, monkeypatch
):
    if kind == "finite_difference":
        monkeypatch.setattr(meta_irm, "TOO_FAR_OFF", 0.0)
    trainer = trained(tmp_path, meta_gradient=kind, inner_learning_rate=3.0, meta_gradient_check_steps=1)
    assert list(errors(trainer)) == [0, 1, 2, 3]
    assert caplog.text.count("% off at step") == 1
    assert advice in caplog.text


def test_settings_that_cannot_be_right_are_refused_when_they_are_made(tmp_path):
    for options in ({"inner_steps": 2}, {"same_environment": True}):
        with pytest.raises(ValueError, match="use meta_gradient='finite_difference'"):
            MetaIRMConfig(str(tmp_path), meta_gradient="crossed_difference", **options)
    with pytest.raises(ValueError, match="meta_gradient_check_steps=-1 is refused"):
        MetaIRMConfig(str(tmp_path), meta_gradient_check_steps=-1)
