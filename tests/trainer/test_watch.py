"""Training that went past the invariant point, or gave the task up, says so once, and other training does not."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import torch

from hf_metairm.data import TensorRows
from hf_metairm.experiments.measure import evaluated
from hf_metairm.models.feature_head import FeatureHead, FeatureHeadConfig
from hf_metairm.trainer import ALGORITHMS
from hf_metairm.trainer.guessing import majority_shares, risks_of_constants

from .toys import arguments


ROWS = 400


def rows(agreement, content=0.5, seed=0):
    """Two features: a cue that agrees with the label as often as `agreement` says, by environment, and content."""
    draws = np.random.default_rng(seed)
    labels, features, names = [], [], []
    for name, share in agreement.items():
        label = np.arange(ROWS) % 2
        right = draws.permutation(np.arange(ROWS) < share * ROWS)
        solid = draws.random(ROWS) < content
        features.append(np.stack([np.where(right, label, 1 - label), np.where(solid, label, 1 - label)], 1) * 2.0 - 1)
        labels.append(label)
        names += [name] * ROWS
    columns = {"features": torch.tensor(np.concatenate(features), dtype=torch.float32)}
    return TensorRows({**columns, "labels": torch.tensor(np.concatenate(labels)), "environment": names})


def trained(folder, algorithm, data, **options):
    """A Trainer after 120 full batches on it."""
    torch.manual_seed(0)
    trainer_class, config = ALGORITHMS[algorithm]
    defaults = {"max_steps": 120, "logging_strategy": "steps", "logging_steps": 5, "learning_rate": 5e-2}
    args = arguments(folder, config, per_device_train_batch_size=len(data), **{**defaults, **options})
    head = FeatureHead(FeatureHeadConfig(input_size=2, hidden_size=4, num_labels=2))
    trainer = trainer_class(head, args, train_dataset=data, eval_dataset=data)
    trainer.train()
    return trainer


CUE_ALONE = {"a": 0.9, "b": 0.7}


@pytest.mark.parametrize(
    ("algorithm", "options", "advice"),
    [
        ("v-rex", {"penalty_weight": 1e6, "lr_scheduler_type": "constant"}, "a smaller penalty_weight"),
        ("meta-irm", {"std_loss_weight": 1e6, "inner_learning_rate": 1e-3}, "a smaller α"),
    ],
)
def test_a_collapse_after_something_was_learned_is_told_once(algorithm, options, advice, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "hf_metairm"):
        trainer = trained(tmp_path, algorithm, rows(CUE_ALONE), penalty_anneal_steps=40, **options)
    (told,) = trainer.told
    assert "those of the best constant" in told
    assert advice in told
    assert "hf-metairm tune" in told
    assert caplog.text.count("those of the best constant") == 1
    step = int(told.split(":")[0].removeprefix("Step "))
    assert 40 < step < 120
    assert evaluated(trainer)["warnings"] == [told]


def test_a_model_past_the_invariant_point_is_told(tmp_path):
    options = {"std_loss_weight": 1e4, "inner_learning_rate": 1.0, "penalty_anneal_steps": 20}
    trainer = trained(tmp_path, "meta-irm", rows(CUE_ALONE), **options)
    (told,) = trainer.told
    assert "past the invariant point" in told
    found = trainer.evaluate()
    assert min(found["eval_a_loss"], found["eval_b_loss"]) > 1.03 * math.log(2)


def test_accuracy_below_guessing_in_every_training_environment_is_told(tmp_path):
    trainer = trained(tmp_path, "erm", rows(CUE_ALONE))
    assert trainer.told == []
    trainer.evaluate(rows({"a": 0.2, "b": 0.8}))
    assert trainer.told == [], "in one of them it is not"
    trainer.evaluate(rows({"a": 0.2, "b": 0.3}))
    (told,) = trainer.told
    assert "worse than by guessing, which is right in 50 % (a 20 %, b 30 %)" in told


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [("erm", {}), ("v-rex", {"penalty_weight": 1e4}), ("meta-irm", {"std_loss_weight": 30.0})],
)
def test_training_that_ends_well_says_nothing(algorithm, options, tmp_path):
    """The content is right in 80 % of rows: whoever follows it has risk 0.50, above the risk that ERM passed by."""
    trainer = trained(tmp_path, algorithm, rows(CUE_ALONE, content=0.8), **options)
    assert trainer.told == []
    assert "warnings" not in evaluated(trainer)


def test_nothing_to_learn_is_told_at_the_end(tmp_path):
    trainer = trained(tmp_path, "erm", rows({"a": 0.5, "b": 0.5}), learning_rate=1e-3)
    (told,) = trainer.told
    assert told.startswith("Step 120: the risks")
    assert "a lower learning rate" in told


def test_a_loss_of_another_kind_is_not_compared_with_a_constant(tmp_path):
    assert trained(tmp_path, "erm", rows({"a": 0.5, "b": 0.5}), label_smoothing_factor=0.3).told == []


def test_what_a_constant_gets():
    data = TensorRows({"labels": torch.tensor([0, 0, 0, 1, 1, 1]), "environment": list("aaaabb")})
    found = risks_of_constants(data, "environment")
    assert found["a"] == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert found["b"] == 0.0
    assert majority_shares(data, "environment") == {"a": 0.75, "b": 1.0}
