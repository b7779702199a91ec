"""ERM, IRMv1, REx and group DRO: the same parameters as a plain loop, whatever the batch is cut into."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_metairm.trainer import ALGORITHMS

from ..gradients.reference import relative_error
from .plain_loop import plain_loop
from .test_meta_irm import Interrupt
from .toys import Classifier, arguments, numbers


ANNEALED = {"penalty_weight": 30.0, "penalty_anneal_steps": 7}
CASES = {
    "erm": ("erm", {}),
    "irmv1": ("irmv1", ANNEALED),
    "irmv1-halves": ("irmv1", {**ANNEALED, "unbiased_penalty": True}),
    "v-rex": ("v-rex", ANNEALED),
    "v-rex-small-weight": ("v-rex", {"penalty_weight": 0.5, "penalty_anneal_steps": 7}),
    "v-rex-momentum": ("v-rex", {**ANNEALED, "penalty_momentum": 0.8}),
    "mm-rex": ("mm-rex", {**ANNEALED, "penalty_momentum": 0.8}),
    "group-dro": ("group-dro", {"group_dro_step_size": 0.3}),
}


class TwoClasses(Classifier):
    """The small MLP with two of its three logits; a row's class is 1 or not."""

    def forward(self, x, labels=None):
        logits = self.body(x.double())[:, :2]
        labels = None if labels is None else labels.clamp(max=1)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def two_class_numbers(environments=2, **options):
    return numbers(environments, **options).map(lambda row: {"label": min(row["label"], 1)})


def recording(trainer_class):
    class Recording(trainer_class):
        def accumulate_gradient(self, model, batches):
            self.seen.append(batches)
            return super().accumulate_gradient(model, batches)

        seen = None

    return Recording


def make(case, tmp_path, model=None, dataset=None, **options):
    algorithm, fields = CASES[case]
    trainer_class, config = ALGORITHMS[algorithm]
    args = arguments(tmp_path, config=config, **{**fields, **options})
    model = Classifier(dropout=0.0, tied=False) if model is None else model
    trainer = recording(trainer_class)(model, args, train_dataset=numbers() if dataset is None else dataset)
    trainer.seen = []
    return trainer


def parameters(trainer):
    return [p.detach() for p in trainer.model.parameters()]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_twenty_steps_give_the_parameters_of_a_plain_loop(case, classes, tmp_path):
    """The penalty's annealing is crossed on the way; there are as many environments as classes."""
    kind, rows = (TwoClasses, two_class_numbers) if classes == 2 else (Classifier, numbers)
    trainer = make(
        case,
        tmp_path,
        model=kind(dropout=0.0, tied=False),
        dataset=rows(classes),
        max_steps=20,
        per_device_train_batch_size=8 * classes,
        weight_decay=0.05,
        l2_regularization=0.02,
        lr_scheduler_type="constant",
    )
    start = [p.clone() for p in parameters(trainer)]
    trainer.train()

    batches = [[(parts[0]["x"], parts[0]["labels"]) for parts in seen.values()] for seen in trainer.seen]
    assert len(batches) == 20
    assert len(batches[0]) == classes
    options = {k: v for k, v in CASES[case][1].items() if k != "unbiased_penalty"}
    words = {"penalty_weight": "weight", "penalty_anneal_steps": "anneal", "penalty_momentum": "momentum"}
    words["group_dro_step_size"] = "step_size"
    algorithm = case if case == "irmv1-halves" else CASES[case][0]
    model = kind(dropout=0.0, tied=False)
    # The parameter that nothing uses has a gradient from the L2 term alone, in both.
    logits_only = _LogitsOnly(model)
    plain_loop(
        logits_only, batches, algorithm, lr=1e-2, weight_decay=0.05, l2=0.02,
        **{words[k]: v for k, v in options.items()},
    )  # fmt: skip
    expected = [p.detach() for p in model.parameters()]
    assert relative_error(expected, start) > 1e-2, "training went somewhere"
    assert relative_error(parameters(trainer), expected) < 1e-6


class _LogitsOnly(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return {"logits": self.model(x, torch.zeros(len(x), dtype=torch.long))["logits"]}


@pytest.mark.parametrize("case", CASES)
def test_accumulating_two_batches_is_one_batch_twice_as_large(case, tmp_path):
    results = []
    for batch, accumulation in ((24, 1), (12, 2)):
        trainer = make(
            case, tmp_path, dataset=numbers(3, rows=16), max_steps=9, l2_regularization=0.02,
            per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation,
        )  # fmt: skip
        trainer.train()
        results.append(parameters(trainer))
    assert relative_error(*results) < 1e-10


@pytest.mark.parametrize("case", ["irmv1", "v-rex-momentum", "mm-rex", "group-dro"])
def test_resumed_run_is_bit_identical(case, tmp_path):
    """Dropout on, two of three environments in a step, and an unseen one evaluated before the run is resumed."""
    data = numbers(3, rows=16)
    unseen = numbers(1, rows=4).map(lambda row: {"environment": "0, before all others"})
    options = {"max_steps": 8, "save_strategy": "steps", "save_steps": 3, "environments_per_batch": 2}

    def trainer(name):
        return make(case, tmp_path / name, model=Classifier(tied=False), dataset=data, **options)

    whole = trainer("whole")
    whole.train()
    killed = trainer("killed")
    killed.add_callback(Interrupt(4))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = trainer("killed")
    resumed.evaluate(unseen)
    resumed.train(resume_from_checkpoint=True)
    assert all(torch.equal(a, b) for a, b in zip(parameters(whole), parameters(resumed)))
    first, second = whole.algorithm.state_dict(), resumed.algorithm.state_dict()
    assert set(first) == set(second)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_resume_from_the_last_checkpoint_takes_no_further_step(tmp_path):
    """Killed between its last step and its result, in the middle of an epoch."""

    def trainer():
        return make("irmv1", tmp_path, dataset=numbers(rows=40), max_steps=4, save_steps=3, save_strategy="steps")

    whole = trainer()
    whole.train()
    again = trainer()
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 4
    assert all(torch.equal(a, b) for a, b in zip(parameters(whole), parameters(again)))


@pytest.mark.parametrize(("case", "message"), [("mm-rex", "penalty_momentum=0"), ("group-dro", "start anew")])
def test_a_checkpoint_without_the_state_is_refused(case, message, tmp_path):
    options = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    make("erm", tmp_path, **options).train()
    with pytest.raises(ValueError, match=message) as caught:
        make(case, tmp_path, **options).train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert "\n" not in str(caught.value)


def test_weights_of_other_environments_are_refused(tmp_path):
    options = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    make("group-dro", tmp_path, **options).train()
    other = make("group-dro", tmp_path, dataset=numbers(3), **options)
    with pytest.raises(ValueError, match=r"weighs the environments a, b, the data has a, b, c"):
        other.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
