"""Each refusal is one sentence that names the mend, and comes before a step was trained."""

from __future__ import annotations

import datasets
import pytest
import torch
from torch import nn
from transformers import TrainingArguments

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMConfig, MetaIRMTrainer
from hf_metairm.trainer.lengths import read_lengths

from .toys import Classifier, arguments, numbers


class NoLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x, labels=None):
        return {"logits": self.layer(x)}


class LossPerRow(NoLoss):
    def forward(self, x, labels=None):
        return {"loss": nn.functional.cross_entropy(self.layer(x), labels, reduction="none")}


def refused(match, *, model=None, dataset=None, **options):
    with pytest.raises(ValueError, match=match) as caught:
        MetaIRMTrainer(model or Classifier(), arguments(**options), train_dataset=dataset or numbers()).train()
    message = str(caught.value)
    assert "\n" not in message
    return message


def with_labels(values):
    dataset = numbers()
    return dataset.remove_columns("label").add_column("label", [values[k % len(values)] for k in range(len(dataset))])


def test_environment_column(tmp_path):
    refused("no column 'site'.*environment_column=", tmp_path=tmp_path, environment_column="site")
    nulls = numbers().map(lambda row, k: {"environment": None if k == 3 else row["environment"]}, with_indices=True)
    refused("1 of 48 rows have no value", tmp_path=tmp_path, dataset=nulls)
    refused("single environment", tmp_path=tmp_path, dataset=numbers().filter(lambda r: r["environment"] == "a"))


def test_batch_and_environment_sizes(tmp_path):
    refused("multiple of 2, such as 12", tmp_path=tmp_path, per_device_train_batch_size=13)
    refused("has 24 rows, fewer than its share of 30", tmp_path=tmp_path, per_device_train_batch_size=60)


def test_losses_and_labels(tmp_path):
    refused("NoLoss returned no loss.*compute_loss_func", tmp_path=tmp_path, model=NoLoss())
    refused("LossPerRow returned no loss", tmp_path=tmp_path, model=LossPerRow())
    refused("no column labels or label", tmp_path=tmp_path, dataset=numbers().remove_columns("label"))
    model = Classifier()
    model.config = type("Config", (), {"num_labels": 3, "problem_type": None, "use_cache": False})()
    refused("holds 3, but the model tells 3 classes apart.*num_labels=4", tmp_path=tmp_path, model=model,
            dataset=with_labels([0, 1, 2, 3]))  # fmt: skip
    refused("holds -1", tmp_path=tmp_path, model=model, dataset=with_labels([-1, 0]))


def test_a_custom_loss_function_is_a_mend_for_a_model_without_loss(tmp_path):
    trainer = MetaIRMTrainer(
        NoLoss(),
        arguments(tmp_path),
        train_dataset=numbers(),
        compute_loss_func=lambda outputs, labels, num_items_in_batch=None: nn.functional.cross_entropy(
            outputs["logits"], labels
        ),
    )
    trainer.train()
    assert trainer.state.global_step == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inner_learning_rate", 0.0),
        ("inner_steps", 0),
        ("meta_gradient", "third_order"),
        ("finite_difference_scheme", "backward"),
        ("outer_environments", "some"),
        ("outer_environments", 0),
        ("std_loss_weight", -1.0),
        ("std_loss_momentum", 1.0),
        ("penalty_anneal_steps", -1),
        ("environments_per_batch", 0),
        ("environments_per_batch", 1),
        ("l2_regularization", -0.1),
    ],
)
def test_unknown_values_of_fields(field, value, tmp_path):
    with pytest.raises(ValueError, match=f"{field}=.*use "):
        MetaIRMConfig(str(tmp_path), **{field: value})


def test_outer_environments_that_are_not_there(tmp_path):
    refused("outer_environments=2 of 1 other", tmp_path=tmp_path, outer_environments=2)


def test_data_parallel(tmp_path, monkeypatch):
    args = arguments(tmp_path)
    monkeypatch.setattr(type(args), "n_gpu", property(lambda self: 2))
    with pytest.raises(ValueError, match="accelerate launch"):
        MetaIRMTrainer(Classifier(), args, train_dataset=numbers())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accelerator_config": {"split_batches": True}}, "split_batches"),
        ({"train_sampling_strategy": "sequential"}, "train_sampling_strategy"),
    ],
)
def test_settings_that_would_unbalance_batches(options, message, tmp_path):
    refused(message, tmp_path=tmp_path, **options)


def test_wrong_kind_of_arguments(tmp_path):
    with pytest.raises(ValueError, match="EnvironmentConfig"):
        EnvironmentTrainer(Classifier(), TrainingArguments(str(tmp_path)), train_dataset=numbers())
    with pytest.raises(ValueError, match="MetaIRMConfig"):
        MetaIRMTrainer(Classifier(), EnvironmentConfig(str(tmp_path)), train_dataset=numbers())


def test_the_trial_pass_leaves_no_trace(tmp_path):
    model = Classifier()
    trainer = MetaIRMTrainer(model, arguments(tmp_path), train_dataset=numbers())
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    from hf_metairm.trainer.checks import check_loss

    model.train()
    check_loss(trainer)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_what_has_no_length_cannot_be_grouped_by_it(tmp_path):
    rows = datasets.Dataset.from_dict({"x": [[0.0]], "length": [3], "input_ids": [[5, 6, 7, 8]]})
    assert read_lengths(rows, "length", "input_ids").tolist() == [3]
    assert read_lengths(rows, "none", "input_ids").tolist() == [4]
    few = datasets.Dataset.from_dict({"input_ids": [[1], [1, 2], [1, 2, 3]]}).select([2, 0])
    assert read_lengths(few, "none", "input_ids").tolist() == [3, 1], "of the rows of a selection"
    assert read_lengths([{"input_ids": [1, 2]}, {"input_ids": [1]}], "length", "input_ids").tolist() == [2, 1]
    with pytest.raises(ValueError, match="neither a column 'length' with their lengths nor one 'input_ids'"):
        read_lengths(rows.select_columns(["x"]), "length", "input_ids")


def test_rows_are_grouped_by_length_when_asked_to(tmp_path):
    dataset = numbers().add_column("length", [k * k % 97 for k in range(len(numbers()))])
    args = arguments(tmp_path, train_sampling_strategy="group_by_length", max_steps=2)
    trainer = EnvironmentTrainer(Classifier(), args, train_dataset=dataset)
    assert trainer.make_sampler().lengths.tolist() == dataset["length"][:]
    trainer.train()
    assert trainer.state.global_step == 2
