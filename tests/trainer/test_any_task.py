"""Any task, collator and setting of the Trainer: each environment's own rows, and evaluation as in a plain Trainer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMConfig, MetaIRMTrainer

from ..gradients.reference import relative_error
from . import tasks
from .test_meta_irm import KeepGradient
from .toys import Classifier, arguments, numbers


def made(task, tmp_path, config=MetaIRMConfig, trainer=MetaIRMTrainer, model=None, **options):
    fields = {k: options.pop(k) for k in list(options) if k in config.__dataclass_fields__}
    args = arguments(tmp_path, config, **{"per_device_train_batch_size": 8, "max_steps": 2, **fields})
    return trainer(
        tasks.model(task) if model is None else model,
        args,
        train_dataset=tasks.rows(task),
        eval_dataset=tasks.rows(task, 3, 7, seed=1),
        data_collator=tasks.collator(task),
        **options,
    )


@pytest.mark.parametrize("task", tasks.TASKS)
def test_every_task_has_the_loss_of_every_environment(task, tmp_path):
    trainer = made(task, tmp_path, label_names=["start_positions", "end_positions"] if task == "questions" else None)
    trainer.train()
    metrics = trainer.evaluate()
    model, data = trainer.model.eval(), trainer.eval_dataset
    for name in ("a", "b", "c"):
        rows = [{k: v for k, v in row.items() if k != "environment"} for row in data if row["environment"] == name]
        with torch.no_grad():
            expected = model(**tasks.collator(task)(rows)).loss.item()
        assert metrics[f"eval_{name}_loss"] == pytest.approx(expected, rel=1e-5), "one batch holds them all"
    losses = [metrics[f"eval_{name}_loss"] for name in "abc"]
    assert metrics["eval_loss"] == pytest.approx(np.mean(losses))
    assert metrics["eval_worst_environment_loss"] == pytest.approx(max(losses))
    assert ("eval_a_accuracy" in metrics) == (task == "classification")
    assert [r.environment for r in trainer.results] == ["a", "b", "c"]


@pytest.mark.parametrize("algorithm", ["meta-irm", "erm"])
@pytest.mark.parametrize("task", ["tokens", "language"])
def test_micro_batches_of_tokens_give_the_gradient_of_the_joint_batch(task, algorithm, tmp_path):
    """They have unequally many labels, so a mean of their means is off by 1e-3."""
    kinds = {"meta-irm": (MetaIRMConfig, MetaIRMTrainer), "erm": (EnvironmentConfig, EnvironmentTrainer)}
    found = []
    for batch, accumulation in ((16, 1), (8, 2)):
        keep = KeepGradient()
        options = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulation}
        made(task, tmp_path, *kinds[algorithm], max_steps=1, callbacks=[keep], **options).train()
        found.append(keep.gradient)
    assert relative_error(found[1], found[0]) < 1e-6, "the loss of a language model is computed in float32"


class Preference(nn.Module):
    """A reward model: the rows of a batch are chosen and rejected in turn."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.reward = nn.Linear(6, 1).double()

    def forward(self, x, names=None, return_loss=True):
        rewards = self.reward(x).squeeze(-1)
        return {"loss": -nn.functional.logsigmoid(rewards[::2] - rewards[1::2]).mean(), "logits": rewards}


def pairs(rows):
    """Flattens each pair, and hands a list on."""
    flat = [v for row in rows for v in (row["x"], (-np.asarray(row["x"])).tolist())]
    return {"x": torch.tensor(flat, dtype=torch.float64), "names": [row["note"] for row in rows]}


def test_a_collator_that_flattens_pairs_gets_each_environments_rows(tmp_path):
    data = numbers().remove_columns("label")
    shifted = data.map(lambda row: {"x": [v + 3 * (row["environment"] == "b") for v in row["x"]]})
    seen = []

    class Watching(MetaIRMTrainer):
        def accumulate_gradient(self, model, batches):
            seen.append({e: parts[0]["x"].clone() for e, parts in batches.items()})
            return super().accumulate_gradient(model, batches)

    args = arguments(tmp_path, max_steps=1, remove_unused_columns=False, logging_strategy="steps", logging_steps=1)
    model = Preference()
    trainer = Watching(model, args, train_dataset=shifted, eval_dataset=shifted, data_collator=pairs)
    start = Preference()
    trainer.train()
    log = trainer.state.log_history[0]
    assert seen[0]["a"].shape == seen[0]["b"].shape == (12, 6)
    for name, x in seen[0].items():
        assert log[f"risk_{name}"] == pytest.approx(float(start(x)["loss"]))
    assert log["risk_a"] != log["risk_b"]
    assert log["meta_loss_std"] > 0
    assert {"eval_a_loss", "eval_b_loss"} <= set(trainer.evaluate())


class TwoOutputs(Classifier):
    """Its first output is not the logits."""

    main_input_name = "x"

    config = type("Config", (), {"num_labels": 3, "problem_type": None, "use_cache": False})()

    def forward(self, x, labels=None):
        outputs = super().forward(x, labels)
        return {"loss": outputs["loss"], "hidden": x.double(), "logits": outputs["logits"]}


def share_of_zeros(prediction, compute_result=True):
    """Knows batches as well as everything at once."""
    labels = prediction.label_ids
    labels = np.concatenate([np.asarray(b) for b in labels]) if isinstance(labels, list) else np.asarray(labels)
    share_of_zeros.seen.append((labels == 0).mean())
    share_of_zeros.weights.append(len(labels))
    if not compute_result:
        return {}
    value = float(np.average(share_of_zeros.seen, weights=share_of_zeros.weights))
    share_of_zeros.seen, share_of_zeros.weights = [], []
    return {"zeros": value}


share_of_zeros.seen, share_of_zeros.weights = [], []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_eval_metrics": True},
        {"eval_do_concat_batches": False},
        {"include_for_metrics": ["loss", "inputs"]},
        {"preprocess_logits_for_metrics": lambda logits, labels: logits[-1].argmax(-1)},
        {"prediction_loss_only": True},
        {"eval_accumulation_steps": 1},
        {"dataloader_num_workers": 1, "dataloader_persistent_workers": True},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
def test_evaluation_is_that_of_a_plain_trainer_and_has_each_environment(options, tmp_path):
    functions = {k: options[k] for k in options if k == "preprocess_logits_for_metrics"}
    fields = {"per_device_eval_batch_size": 7, **{k: v for k, v in options.items() if k not in functions}}
    data = numbers(3, rows=14, seed=2)
    config = EnvironmentConfig
    ours = EnvironmentTrainer(
        TwoOutputs(), arguments(tmp_path, config, **fields), train_dataset=numbers(), eval_dataset=data,
        compute_metrics=share_of_zeros, **functions,
    )  # fmt: skip
    plain = Trainer(
        TwoOutputs(),
        TrainingArguments(str(tmp_path), report_to="none", use_cpu=True, disable_tqdm=True, **fields),
        eval_dataset=data,
        compute_metrics=share_of_zeros,
        **functions,
    )
    found, expected = ours.evaluate(), plain.evaluate()
    for key, value in expected.items():
        if not key.endswith(("_runtime", "_per_second", "_time")):
            assert found[key] == pytest.approx(value, rel=1e-6), key
    labels, names = np.asarray(data["label"]), np.asarray(data["environment"])
    for name in "abc":
        assert f"eval_{name}_loss" in found
        if not options.get("prediction_loss_only"):
            assert found[f"eval_{name}_zeros"] == pytest.approx((labels[names == name] == 0).mean())
    if not options:
        logits = ours.predict(data).predictions[1]
        right = logits.argmax(-1) == labels
        assert found["eval_b_accuracy"] == pytest.approx(right[names == "b"].mean())
        assert found["eval_worst_environment_zeros"] == min(found[f"eval_{n}_zeros"] for n in "abc")


def test_a_streamed_evaluation_set_has_the_names_of_its_column(tmp_path):
    trainer = made("classification", tmp_path)
    whole = trainer.evaluate()
    streamed = trainer.evaluate(tasks.rows("classification", 3, 7, seed=1).to_iterable_dataset())
    for name in "abc":
        assert streamed[f"eval_{name}_loss"] == pytest.approx(whole[f"eval_{name}_loss"])
    assert streamed["eval_loss"] == pytest.approx(whole["eval_loss"])


NAMES = ("eval", "test", "test_x", "worst_environment", "mean_environment", "a", "a_b")


def test_sites_may_be_called_as_metrics_are(tmp_path):
    data = numbers(len(NAMES), rows=8)
    named = data.map(lambda row: {"environment": NAMES[ord(row["environment"]) - ord("a")]})

    def f1(prediction):
        return {"f1": float((prediction.label_ids == 0).mean()), "b_f1": 2.0}

    args = arguments(
        tmp_path, per_device_train_batch_size=14, eval_strategy="steps", eval_steps=1, max_steps=2,
        save_strategy="steps", save_steps=1, load_best_model_at_end=True, metric_for_best_model="eval_test_x_f1",
    )  # fmt: skip
    trainer = MetaIRMTrainer(
        Classifier(tied=False), args, train_dataset=named, eval_dataset=named.select(range(56)), compute_metrics=f1
    )
    trainer.train()
    metrics = trainer.evaluate()
    labels, names = np.asarray(named["label"]), np.asarray(named["environment"])
    shares = {name: float((labels[names == name] == 0).mean()) for name in NAMES}
    assert {r.environment: r.metrics["f1"] for r in trainer.results} == pytest.approx(shares)
    for name in ("eval", "test", "test_x"):
        assert metrics[f"eval_{name}_f1"] == pytest.approx(shares[name])
    assert metrics["eval_worst_environment_f1"] == pytest.approx(min(shares.values()))
    assert metrics["eval_environment_worst_environment_f1"] == pytest.approx(shares["worst_environment"])
    assert metrics["eval_a_b_f1"] == 2.0
    assert metrics["eval_environment_a_b_f1"] == pytest.approx(shares["a_b"])


def test_a_metric_that_cannot_come_is_refused_before_training(tmp_path):
    options = {
        "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1,
        "load_best_model_at_end": True,
    }  # fmt: skip
    trainer = made("tokens", tmp_path, metric_for_best_model="worst_environment_accuracy", **options)
    with pytest.raises(ValueError, match=r"metric_for_best_model=.*use one of .*eval_worst_environment_loss"):
        trainer.train()
    assert trainer.state.global_step == 0
    trainer = made("tokens", tmp_path, metric_for_best_model="worst_environment_loss", **options)
    trainer.train()
    assert trainer.state.best_metric == pytest.approx(
        min(h["eval_worst_environment_loss"] for h in trainer.state.log_history if "eval_loss" in h)
    )


def test_a_training_set_that_is_replaced_is_read_anew(tmp_path):
    seen = set()

    class Watching(EnvironmentTrainer):
        def accumulate_gradient(self, model, batches):
            seen.update((e, int(k)) for e, parts in batches.items() for k in parts[0]["x"][:, 0].tolist())
            return super().accumulate_gradient(model, batches)

    def counted(environments, rows):
        data = numbers(environments, rows)
        return data.map(lambda row, k: {"x": [float(k)] * 6}, with_indices=True)

    args = arguments(tmp_path, EnvironmentConfig, max_steps=-1, num_train_epochs=1, per_device_train_batch_size=6)
    trainer = Watching(Classifier(), args, train_dataset=counted(2, 12))
    trainer.train_dataset = counted(3, 20)
    trainer.train()
    assert {k for _, k in seen} == set(range(60))
    assert {e for e, _ in seen} == {"a", "b", "c"}


@pytest.mark.parametrize("algorithm", ["group-dro", "v-rex", "meta-irm"])
def test_training_twice_starts_clean_each_time(algorithm, tmp_path):
    from hf_metairm.trainer import ALGORITHMS

    trainer_class, config = ALGORITHMS[algorithm]
    fields = {
        "group-dro": {"group_dro_step_size": 0.5},
        "v-rex": {"penalty_momentum": 0.9, "penalty_weight": 10.0},
        "meta-irm": {"std_loss_momentum": 0.9, "std_loss_weight": 10.0},
    }[algorithm]
    args = arguments(tmp_path, config, max_steps=5, gradient_accumulation_steps=2, **fields)
    trainer = trainer_class(model_init=lambda: Classifier(dropout=0.0), args=args, train_dataset=numbers(3, rows=24))
    results = []
    trainer.train()
    results.append([p.detach().clone() for p in trainer.model.parameters()])
    # Interrupted between two micro-batches: the first of them must not be found by the next run.
    step = trainer.training_step

    def interrupted(*args, **kwargs):
        step(*args, **kwargs)
        raise KeyboardInterrupt

    trainer.training_step = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    trainer.training_step = step
    trainer.train()
    results.append([p.detach().clone() for p in trainer.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_a_field_that_a_search_of_hyperparameters_sets_is_used_and_checked(tmp_path):
    args = arguments(tmp_path, max_steps=1)
    trainer = MetaIRMTrainer(model_init=lambda: Classifier(dropout=0.0), args=args, train_dataset=numbers())
    trainer.train()
    trainer.args.std_loss_weight = 30.0
    trainer.train()
    assert trainer.algorithm.std_loss.weight == 30.0
    trainer.args.std_loss_weight = -1.0
    with pytest.raises(ValueError, match="std_loss_weight"):
        trainer.train()
