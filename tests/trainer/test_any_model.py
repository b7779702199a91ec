"""Models and settings as people have them: sparse and unused parameters, batch norm, losses of their own."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMTrainer
from hf_metairm.environments import EnvironmentSampler

from ..gradients.reference import reference_gradient, relative_error
from .test_meta_irm import KeepGradient, Watching
from .toys import Classifier, arguments, numbers


class Words(nn.Module):
    """Embeddings as `kind` has them, with a parameter that nothing uses."""

    def __init__(self, kind="dense"):
        super().__init__()
        torch.manual_seed(0)
        options = {"sparse": {"sparse": True}, "max_norm": {"max_norm": 0.5}}.get(kind.removeprefix("bag-"), {})
        self.words = (nn.EmbeddingBag if kind.startswith("bag") else nn.Embedding)(20, 5, **options)
        self.hidden = nn.Linear(5, 4)
        self.last = nn.Linear(4, 3)
        self.unused = nn.Parameter(torch.ones(7))
        self.double()

    def forward(self, x, labels=None):
        ids = (x.double() * 4).long() % 20
        words = self.words(ids)
        words = words if words.dim() == 2 else words.mean(1)
        logits = self.last(torch.tanh(self.hidden(words)))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@pytest.mark.parametrize("kind", ["dense", "sparse", "bag", "bag-sparse"])
def test_embeddings_sparse_or_in_bags_train_by_erm_as_with_a_plain_trainer(kind, tmp_path):
    options = {"max_steps": 5, "optim": "sgd", "weight_decay": 0.1, "learning_rate": 0.1, "max_grad_norm": 0.0}
    args = arguments(tmp_path, EnvironmentConfig, **options)
    ours = EnvironmentTrainer(Words(kind), args, train_dataset=numbers())

    class Plain(Trainer):
        def _get_train_sampler(self, train_dataset=None):
            return ours.make_sampler()

    plain_args = TrainingArguments(
        str(tmp_path), report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no",
        per_device_train_batch_size=12, **options,
    )  # fmt: skip
    # A plain Trainer fails on sparse gradients, whose norm it takes; their values are those of dense ones.
    plain = Plain(
        Words(kind.replace("bag-sparse", "bag").replace("sparse", "dense")),
        plain_args,
        train_dataset=numbers().remove_columns("environment"),
    )
    ours.train()
    plain.train()
    assert relative_error(list(ours.model.parameters()), list(plain.model.parameters())) < 1e-10


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_meta_gradient_of_sparse_embeddings_is_dense_and_exact(kind, tmp_path):
    keep, model = KeepGradient(), Words(kind)
    keep.on_pre_optimizer_step = lambda args, state, control, model=None, **kw: keep.__dict__.update(
        gradient=[None if p.grad is None else p.grad.clone() for p in model.parameters()]
    )
    trainer = Watching(
        model, arguments(tmp_path, max_steps=1, learning_rate=0.0), train_dataset=numbers(), callbacks=[keep]
    )
    trainer.train()
    fresh = Words("dense")
    batches = {e: parts[0] for e, parts in enumerate(trainer.batches.values())}
    expected, _ = reference_gradient(fresh, lambda m, b: m(**b)["loss"], batches, {0: [1], 1: [0]})
    unused = [n for n, _ in fresh.named_parameters()].index("unused")
    assert keep.gradient[unused] is None, "weight decay leaves a parameter alone that nothing uses"
    found = [g for g in keep.gradient if g is not None]
    assert relative_error(found, [g for k, g in enumerate(expected) if k != unused]) < 1e-10


@pytest.mark.parametrize("kind", ["max_norm", "bag-max_norm"])
def test_embeddings_that_change_in_the_forward_pass_are_refused(kind, tmp_path):
    with pytest.raises(ValueError, match=r"words.*max_norm=0\.5.*None"):
        MetaIRMTrainer(Words(kind), arguments(tmp_path), train_dataset=numbers())
    EnvironmentTrainer(Words(kind), arguments(tmp_path, EnvironmentConfig), train_dataset=numbers()).train()


def test_a_bag_of_embeddings_is_exact_or_refused_with_the_way_out(tmp_path):
    keep, model = KeepGradient(), Words("bag")
    trainer = Watching(model, arguments(tmp_path, max_steps=1), train_dataset=numbers())
    try:
        trainer.train()
    except ValueError as error:
        assert "finite_difference" in str(error)  # noqa: PT017
    options = {"max_steps": 1, "meta_gradient": "finite_difference", "finite_difference_scheme": "central"}
    MetaIRMTrainer(Words("bag"), arguments(tmp_path, **options), train_dataset=numbers()).train()
    assert keep is not None


class Normalized(nn.Module):
    """Batch norm, in which each environment's mean would vanish."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.last = nn.BatchNorm1d(6), nn.Linear(6, 3)
        self.double()

    def forward(self, x, labels=None):
        logits = self.last(self.norm(x.double()))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def test_batch_norm_is_warned_of_and_can_be_frozen(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("hf_metairm.trainer.checks"), "propagate", True)
    EnvironmentTrainer(Normalized(), arguments(tmp_path, EnvironmentConfig), train_dataset=numbers()).train()
    assert "one environment at a time" in caplog.text
    assert "freeze_batch_norm=True" in caplog.text
    caplog.clear()
    model = Normalized()
    before = model.norm.running_mean.clone()
    args = arguments(tmp_path, freeze_batch_norm=True)
    MetaIRMTrainer(model, args, train_dataset=numbers()).train()
    assert "batch norm" not in caplog.text
    assert torch.equal(before, model.norm.running_mean)


def test_finite_differences_of_relus_are_warned_of_once(tmp_path, caplog, monkeypatch):
    class Kinked(Classifier):
        def __init__(self):
            super().__init__()
            self.kink = nn.ReLU()

    options = {"meta_gradient": "finite_difference"}
    trainer = MetaIRMTrainer(Kinked(), arguments(tmp_path, **options), train_dataset=numbers())
    trainer.train()
    assert caplog.text.count("The model has ReLUs") == 1
    caplog.clear()
    MetaIRMTrainer(Kinked(), arguments(tmp_path), train_dataset=numbers())
    assert "ReLUs" not in caplog.text


def test_looks_at_a_model_leave_its_batch_norm_as_it_was(tmp_path):
    """The look before training, and the pass that finds σ ahead of the gradients."""
    from hf_metairm.gradients import StdLoss, meta_gradient
    from hf_metairm.trainer.checks import check_before_training

    model = Normalized()
    trainer = MetaIRMTrainer(model, arguments(tmp_path), train_dataset=numbers(), eval_dataset=numbers())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    check_before_training(trainer)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    found = []
    for weight in (0.0, 1.0):
        model = Normalized().train()
        batches = {e: numbers(3, rows=8, seed=e).with_format("torch")[:8] for e in range(3)}
        inputs = {e: {"x": b["x"], "labels": b["label"]} for e, b in batches.items()}
        meta_gradient(model, lambda m, b: m(**b)["loss"], inputs, std_loss=StdLoss(weight))
        found.append(model.norm.running_mean.clone())
    assert torch.equal(*found)


class LogitsOnly(Classifier):
    def forward(self, x, labels=None):
        return {"logits": self.body(x.double())}


def test_a_loss_function_is_given_what_it_is_a_mean_over(tmp_path):
    """With `num_items_in_batch` it may sum; the risk is the mean either way."""
    risks = []
    for total in (True, False):

        def loss(outputs, labels, num_items_in_batch=None, total=total):
            assert num_items_in_batch is not None
            reduction = "sum" if total else "mean"
            value = nn.functional.cross_entropy(outputs["logits"], labels, reduction=reduction)
            return value / num_items_in_batch if total else value

        args = arguments(
            tmp_path, max_steps=1, logging_strategy="steps", logging_steps=1, gradient_accumulation_steps=2
        )
        model = LogitsOnly(dropout=0.0)
        trainer = MetaIRMTrainer(model, args, train_dataset=numbers(), compute_loss_func=loss)
        trainer.train()
        risks.append([trainer.state.log_history[0][f"risk_{e}"] for e in "ab"])
    assert risks[0] == pytest.approx(risks[1])


def test_a_smaller_batch_is_found_where_memory_runs_out_and_stays_balanced(tmp_path):
    sizes = []

    class Tight(Classifier):
        def forward(self, x, labels=None):
            if self.training and len(x) > 5:
                raise RuntimeError("CUDA out of memory.")
            if self.training:
                sizes.append(len(x))
            return super().forward(x, labels)

    args = arguments(tmp_path, EnvironmentConfig, per_device_train_batch_size=24, auto_find_batch_size=True)
    trainer = EnvironmentTrainer(Tight(), args, train_dataset=numbers(3))
    trainer.train()
    assert trainer.state.global_step == 3
    assert set(sizes) == {max(sizes)}
    assert max(sizes) <= 5


def test_arguments_may_be_given_by_position(tmp_path):
    data, seen = numbers(), []

    def collate(rows):
        seen.append(len(rows))
        return {k: torch.tensor([r[k] for r in rows]) for k in ("x", "label")} | {
            "labels": torch.tensor([r["label"] for r in rows])
        }

    class Takes(Classifier):
        def forward(self, x, label=None, labels=None):
            return super().forward(x, labels)

    trainer = MetaIRMTrainer(Takes(), arguments(tmp_path), collate, data, data)
    assert trainer.data_collator is collate
    assert trainer.eval_dataset is data
    trainer.train()
    assert seen


def test_a_collator_that_fails_on_one_environment_is_refused_before_training(tmp_path):
    def collate(rows):
        if any(r["x"][0] > 50 for r in rows):
            raise KeyError("length")
        return {"x": torch.tensor([r["x"] for r in rows]), "labels": torch.tensor([r["label"] for r in rows])}

    data = numbers().map(lambda row: {"x": [v + 100 * (row["environment"] == "b") for v in row["x"]]})
    trainer = MetaIRMTrainer(Classifier(), arguments(tmp_path), train_dataset=data, data_collator=collate)
    with pytest.raises(ValueError, match=r"environment 'b'.*collator") as caught:
        trainer.train()
    assert "\n" not in str(caught.value)


def test_an_environment_without_any_label_in_a_step_is_refused(tmp_path):
    data = numbers().map(lambda row: {"label": -100 if row["environment"] == "b" else row["label"]})
    trainer = EnvironmentTrainer(Classifier(), arguments(tmp_path, EnvironmentConfig), train_dataset=data)
    with pytest.raises(ValueError, match=r"environment 'b'.*-100"):
        trainer.train()


# What no test noticed when it was broken on purpose


def test_momentum_has_an_effect_and_its_means_are_corrected(tmp_path):
    """Against σ's weights by hand: w = 1 ± λ/(2) sign of the corrected running difference, for two environments."""
    from hf_metairm.gradients import StdLoss

    losses = [(1.0, 2.0), (5.0, 1.0), (1.0, 1.5)]
    m, std = 0.5, StdLoss(weight=4.0, momentum=0.5)
    averages = torch.zeros(2, dtype=torch.float64)
    for step, values in enumerate(losses, 1):
        averages = m * averages + (1 - m) * torch.tensor(values, dtype=torch.float64)
        corrected = averages / (1 - m**step)
        std.start(2)
        x = [
            std.observe(pair, torch.tensor(v, dtype=torch.float64))
            for pair, v in zip((("a", "b"), ("b", "a")), values)
        ]
        a, b = std.mix()
        expected = 1 + 4.0 * (corrected - corrected.mean()) / (2 * corrected.std(correction=0))
        assert torch.allclose(torch.stack([a + b * v for v in x]), expected)
        assert torch.allclose(std.deviation(), corrected.std(correction=0))
    results = []
    for momentum in (0.0, 0.9):
        model = Classifier(dropout=0.0)
        args = arguments(tmp_path, max_steps=8, std_loss_weight=20.0, std_loss_momentum=momentum)
        MetaIRMTrainer(model, args, train_dataset=numbers()).train()
        results.append([p.detach() for p in model.parameters()])
    assert relative_error(*results) > 1e-4


def test_outer_environments_are_drawn_anew_at_every_step(tmp_path, monkeypatch):
    import hf_metairm.gradients.meta_objective as module

    drawn, draw = [], module.draw_pairs
    monkeypatch.setattr(module, "draw_pairs", lambda *a, **k: drawn.append(draw(*a, **k)) or drawn[-1])
    args = arguments(tmp_path, max_steps=6, outer_environments=1, per_device_train_batch_size=8)
    MetaIRMTrainer(Classifier(), args, train_dataset=numbers(4)).train()
    assert len({str(pairs) for pairs in drawn}) > 3


@pytest.mark.parametrize("algorithm", ["erm", "v-rex", "group-dro", "irmv1"])
def test_dropout_is_replayed_when_the_baselines_accumulate(algorithm, tmp_path):
    """The joint risks are evaluated first, then each micro-batch again: both times with the same masks."""
    from hf_metairm.trainer import ALGORITHMS

    trainer_class, config = ALGORITHMS[algorithm]
    seen = []

    class Masked(Classifier):
        def forward(self, x, labels=None):
            outputs = super().forward(x, labels)
            if self.training:
                seen.append(float(outputs["loss"].detach()))
            return outputs

    args = arguments(tmp_path, config, max_steps=1, gradient_accumulation_steps=2)
    trainer_class(Masked(dropout=0.5), args, train_dataset=numbers()).train()
    assert len(seen) == 8
    assert seen[:4] == seen[4:]
    assert len(set(seen)) == 4


def test_the_step_of_the_central_difference_is_the_cube_root():
    from hf_metairm.gradients.finite_difference import step_size

    eps = torch.finfo(torch.float32).eps
    assert step_size(torch.float32, "central") == pytest.approx(eps ** (1 / 3))
    assert step_size(torch.float32, "forward") == pytest.approx(eps**0.5)


def test_each_epoch_has_an_order_of_its_own_and_each_draw_its_own_stream():
    ids = [k % 3 for k in range(60)]
    sampler = EnvironmentSampler(ids, rows_per_block=4, environments_per_batch=2, seed=1)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] != orders[1] != orders[2]
    chosen = [tuple(sorted({k % 3 for k in orders[0][i : i + 4]})) for i in range(0, len(orders[0]), 4)]
    assert len(set(chosen)) == 3
    whole = EnvironmentSampler(ids, rows_per_block=3, seed=1)
    per_environment = [[k // 3 for k in whole if k % 3 == e] for e in range(3)]
    assert per_environment[0] != per_environment[1], "two environments are not shuffled by one stream"
