"""The algorithms that look at features, rows or gradients in a Trainer: accumulation, checkpoints, real models."""

from __future__ import annotations

import pytest
import torch

from hf_metairm.trainer import ALGORITHMS

from ..gradients.models import small_bert
from ..gradients.reference import relative_error
from .test_meta_irm import Interrupt
from .toys import Classifier, arguments, numbers, sentences


ANNEALED = {"penalty_weight": 30.0, "penalty_anneal_steps": 4}
CASES = {
    "irmv2": ("irmv2", ANNEALED),
    "fishr": ("fishr", ANNEALED),
    "fishr-hidden": ("fishr", {**ANNEALED, "feature_module": "body.first"}),
    "coral": ("coral", ANNEALED),
    "ib-irm": ("ib-irm", {**ANNEALED, "bottleneck_weight": 3.0}),
    "iga": ("iga", ANNEALED),
    "iga-forward": ("iga", {**ANNEALED, "hessian_product": "forward_difference"}),
    "fish": ("fish", {"inner_learning_rate": 0.3}),
    "dfr": ("dfr", {}),
}


def make(case, tmp_path, model=None, dataset=None, **options):
    algorithm, fields = CASES[case]
    trainer_class, config = ALGORITHMS[algorithm]
    args = arguments(tmp_path, config=config, **{**fields, **options})
    model = Classifier(dropout=0.0, tied=False) if model is None else model
    return trainer_class(model, args, train_dataset=numbers() if dataset is None else dataset)


def parameters(trainer):
    return [p.detach() for p in trainer.model.parameters()]


@pytest.mark.parametrize("case", CASES)
def test_accumulating_two_batches_is_one_batch_twice_as_large(case, tmp_path):
    results = []
    for batch, accumulation in ((24, 1), (12, 2)):
        trainer = make(
            case, tmp_path, dataset=numbers(3, rows=16), max_steps=9, l2_regularization=0.02,
            per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation,
        )  # fmt: skip
        start = [p.clone() for p in parameters(trainer)]
        trainer.train()
        results.append(parameters(trainer))
        assert relative_error(results[-1], start) > 1e-2, "training went somewhere"
    assert relative_error(*results) < (1e-6 if case == "iga-forward" else 1e-9)


@pytest.mark.parametrize("case", CASES)
def test_resumed_run_is_bit_identical(case, tmp_path):
    """Dropout on, two of three environments in a step."""
    options = {"max_steps": 8, "save_strategy": "steps", "save_steps": 3, "environments_per_batch": 2}
    data = numbers(3, rows=16)

    def trainer(name):
        return make(case, tmp_path / name, model=Classifier(tied=False), dataset=data, **options)

    whole = trainer("whole")
    whole.train()
    killed = trainer("killed")
    killed.add_callback(Interrupt(4))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = trainer("killed")
    resumed.train(resume_from_checkpoint=True)
    assert all(torch.equal(a, b) for a, b in zip(parameters(whole), parameters(resumed)))
    first, second = whole.algorithm.state_dict(), resumed.algorithm.state_dict()
    assert set(first) == set(second)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_checkpoint_without_the_running_sums_is_refused(tmp_path):
    options = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    make("coral", tmp_path, **options).train()
    with pytest.raises(ValueError, match=r"running sums of the gradients' variances.*fishr_ema=0"):
        make("fishr", tmp_path, **options).train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))


@pytest.mark.parametrize("case", [c for c in CASES if c != "fishr-hidden"])
def test_bert_trains_in_half_precision_and_the_card_says_what_was_minimized(case, tmp_path):
    """bf16 autocast: the features come in bfloat16, their means are taken in float32."""
    data = sentences(rows=24)
    trainer = make(case, tmp_path, model=small_bert(), dataset=data, bf16=True, logging_strategy="steps",
                   logging_steps=1)  # fmt: skip
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 3
    assert all(0 < loss < 100 for loss in losses)
    assert all(p.isfinite().all() for p in trainer.model.parameters())
    trainer.create_model_card()
    card = (tmp_path / "README.md").read_text()
    assert trainer.algorithm.title in card
    assert trainer.algorithm.describe().formula in card


def test_bert_has_a_pooled_output(tmp_path):
    found = []
    for module in (None, "bert.pooler", "bert.pooler.activation"):
        torch.manual_seed(0)
        trainer = make("coral", tmp_path, model=small_bert(dropout=0.0).double(), dataset=sentences(rows=24),
                       feature_module=module, penalty_weight=5.0)  # fmt: skip
        trainer.train()
        found.append(parameters(trainer))
    assert relative_error(found[1], found[0]) < 1e-12
    assert relative_error(found[2], found[0]) < 1e-12
