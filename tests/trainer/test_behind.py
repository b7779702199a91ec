"""In front of other Trainer classes: some prepare their data, note metrics in the loss, freeze parameters there."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from transformers import BertForTokenClassification, Trainer

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMTrainer
from hf_metairm.gradients import KINDS, is_elsewhere
from hf_metairm.trainer import checks

from ..gradients.models import small_bert
from .toys import Classifier, arguments, numbers, sentences


class Doubling(Trainer):
    """Makes `x` of `half`, of every dataset it is given, and drops rows that are too long; notes its losses."""

    def __init__(self, *args, train_dataset=None, eval_dataset=None, **kwargs):
        self.noted = []
        train_dataset, eval_dataset = self.prepared(train_dataset), self.prepared(eval_dataset)
        super().__init__(*args, train_dataset=train_dataset, eval_dataset=eval_dataset, **kwargs)

    def prepared(self, dataset):
        if dataset is None or "x" in dataset.column_names:
            return dataset
        dataset = dataset.map(lambda row: {"x": [2 * v for v in row["half"]]}, remove_columns="half")
        return dataset.filter(lambda row: row["note"] != "too long")

    def evaluate(self, eval_dataset=None, *args, **kwargs):
        return super().evaluate(self.prepared(eval_dataset), *args, **kwargs)

    def compute_loss(self, model, inputs, *args, **kwargs):
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if model.training and not is_elsewhere(model):
            self.noted.append(round(float(loss[0] if isinstance(loss, tuple) else loss), 10))
        return loss


class Front(MetaIRMTrainer, Doubling):
    pass


def halves(environments=2, seed=0) -> Dataset:
    return numbers(environments, seed=seed).map(lambda row: {"half": [v / 2 for v in row["x"]]}, remove_columns="x")


def test_what_evaluate_is_given_is_divided_after_it_was_prepared(tmp_path):
    model, other = Classifier(), halves(seed=1)
    before = Front(model, arguments(tmp_path), train_dataset=halves(), eval_dataset=other).evaluate()
    given = Front(model, arguments(tmp_path), train_dataset=halves(), eval_dataset=halves()).evaluate(other)
    assert given["eval_a_loss"] == pytest.approx(before["eval_a_loss"])
    assert given["eval_worst_environment_accuracy"] == before["eval_worst_environment_accuracy"]


def test_a_missing_column_is_refused_before_the_data_are_prepared(tmp_path, monkeypatch):
    monkeypatch.setattr(Doubling, "prepared", lambda self, dataset: pytest.fail("prepared"))
    with pytest.raises(ValueError, match=r"no column 'environment' \(its columns: label, note, half\)"):
        Front(Classifier(), arguments(tmp_path), train_dataset=halves().remove_columns("environment"))


def test_an_environment_that_is_lost_in_the_preparation_is_refused(tmp_path):
    rows = halves(3).map(lambda row: {"note": "too long" if row["environment"] == "b" else ""})
    with pytest.raises(ValueError, match="No row of environment 'b' is left after Front prepared"):
        Front(Classifier(), arguments(tmp_path), train_dataset=rows)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_loss_can_tell_the_model_from_the_adapted_one(kind, tmp_path):
    steps = 1 if kind == "crossed_difference" else 2
    args = arguments(
        tmp_path, max_steps=1, logging_strategy="steps", logging_steps=1, meta_gradient=kind, inner_steps=steps
    )
    model = Classifier(dropout=0.0)
    trainer = Front(model, args, train_dataset=halves(3))
    trainer.train()
    logged = {round(trainer.state.log_history[0][f"risk_{e}"], 10) for e in "abc"}
    assert set(trainer.noted) == logged
    assert not is_elsewhere(model)


def test_it_is_known_again_after_an_exception(tmp_path):
    class Failing(Front):
        def compute_loss(self, model, *args, **kwargs):
            if is_elsewhere(model):
                raise KeyboardInterrupt
            return super().compute_loss(model, *args, **kwargs)

    for kind in KINDS:
        model = Classifier()
        with pytest.raises(KeyboardInterrupt):
            Failing(model, arguments(tmp_path, meta_gradient=kind), train_dataset=halves()).train()
        assert not is_elsewhere(model)


class Thawing(EnvironmentTrainer):
    """Lets its first parameter have a gradient from within the loss."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if model.training:
            next(model.parameters()).requires_grad_(True)
        return loss


@pytest.mark.parametrize("options", [{}, {"l2_regularization": 0.1}])
def test_each_gradient_meets_its_parameter_where_a_loss_freezes_and_thaws_some(options, tmp_path):
    def gradients(trainer_class):
        model = small_bert()
        next(model.parameters()).requires_grad_(False)
        args = arguments(tmp_path, EnvironmentConfig, **options)
        trainer = trainer_class(model, args, train_dataset=sentences())
        batches = {e: [part] for e, part in trainer.probe([0, 1, 2, 3]).items()}
        torch.manual_seed(0)
        trainer.accumulate_gradient(model.train(), batches)
        return [p.grad for p in model.parameters()][1:]

    for a, b in zip(gradients(Thawing), gradients(EnvironmentTrainer)):
        torch.testing.assert_close(a, b)


def test_labels_of_tokens_are_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "_as_array", lambda *args: pytest.fail("read"))
    rows = sentences().map(lambda row: {"labels": [0, 1] * 3 + [0]}, remove_columns="label")
    model = BertForTokenClassification(small_bert().config)
    EnvironmentTrainer(model, arguments(tmp_path, EnvironmentConfig), train_dataset=rows)
