from __future__ import annotations

import itertools

import pytest
import torch
from transformers import TrainerCallback

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMConfig, MetaIRMTrainer
from hf_metairm.gradients import draw_pairs

from ..gradients.reference import reference_gradient, relative_error
from .toys import Classifier, arguments, model_and_data, numbers, sentences


class Watching(MetaIRMTrainer):
    """Keeps the batch, the generator's state and the gradient that reaches the optimizer of the first step."""

    def accumulate_gradient(self, model, batches):
        self.batches, self.state_before = batches, torch.get_rng_state()
        return super().accumulate_gradient(model, batches)


class KeepGradient(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradient = [p.grad.clone() for p in model.parameters() if p.requires_grad]
        self.parameters = [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize("name", ["mlp", "bert"])
@pytest.mark.parametrize("environments", [2, 3, 4])
def test_gradient_that_reaches_the_optimizer_is_that_of_the_whole_objective(name, environments, tmp_path):
    # Every value of each; tests/gradients goes through all combinations without the Trainer.
    for (steps, std_weight), options in itertools.product(
        ((1, 0.0), (2, 1.0), (3, 10.0)), ({}, {"outer_environments": 1}, {"same_environment": True})
    ):
        model, dataset = model_and_data(name, environments)
        keep = KeepGradient()
        args = arguments(
            tmp_path,
            max_steps=1,
            per_device_train_batch_size=4 * environments,
            inner_steps=steps,
            std_loss_weight=std_weight,
            l2_regularization=0.01,
            **options,
        )
        trainer = Watching(model, args, train_dataset=dataset, callbacks=[keep])
        trainer.train()

        with torch.no_grad():
            for parameter, value in zip(model.parameters(), keep.parameters):
                parameter.copy_(value)
        generator = torch.Generator().manual_seed(args.seed * 1_000_003)
        pairs = draw_pairs(range(environments), generator=generator, **options)
        drawn = sum(len(js) for js in pairs.values())
        torch.set_rng_state(trainer.state_before)
        divisor = max(1.0, std_weight)
        reference, _ = reference_gradient(
            model.train(),
            trainer.risk,
            {e: parts[0] for e, parts in enumerate(trainer.batches.values())},
            pairs,
            steps=steps,
            std_weight=std_weight,
            sum_weight=1.0 if "same_environment" in options else environments * (environments - 1) / drawn,
        )
        expected = [(g + 2 * 0.01 * p.detach()) / divisor for g, p in zip(reference, model.parameters())]
        assert relative_error(keep.gradient, expected) < 1e-9, (steps, std_weight, options)


def test_penalty_anneals_in_and_divides_the_objective(tmp_path):
    seen = []

    class Recording(MetaIRMTrainer):
        def accumulate_gradient(self, model, batches):
            objective = super().accumulate_gradient(model, batches)
            seen.append((self.algorithm.std_loss.weight, self.algorithm.std_loss.divisor))
            return objective

    args = arguments(tmp_path, max_steps=4, std_loss_weight=50.0, penalty_anneal_steps=2)
    Recording(Classifier(), args, train_dataset=numbers()).train()
    assert seen == [(1.0, 1.0), (1.0, 1.0), (50.0, 50.0), (50.0, 50.0)]


@pytest.mark.parametrize("kind", ["exact", "finite_difference", "first_order"])
def test_accumulating_two_batches_is_one_batch_twice_as_large(kind, tmp_path):
    results = []
    for batch, accumulation in ((16, 1), (8, 2)):
        model = Classifier(dropout=0.0)
        args = arguments(
            tmp_path,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            meta_gradient=kind,
            finite_difference_scheme="central",
        )
        MetaIRMTrainer(model, args, train_dataset=numbers()).train()
        results.append([p.detach() for p in model.parameters()])
    assert relative_error(*results) < (1e-6 if kind == "finite_difference" else 1e-12)


def test_plain_erm_is_the_mean_of_the_risks(tmp_path):
    """Against a plain PyTorch loop on the same rows."""
    rows = []

    class Recording(EnvironmentTrainer):
        def accumulate_gradient(self, model, batches):
            rows.append(batches)
            return super().accumulate_gradient(model, batches)

    start = Classifier(dropout=0.0)
    initial = {k: v.clone() for k, v in start.state_dict().items()}
    args = arguments(
        tmp_path,
        config=EnvironmentConfig,
        max_steps=5,
        gradient_accumulation_steps=2,
        per_device_train_batch_size=6,
        optim="sgd",
        lr_scheduler_type="constant",
        l2_regularization=0.03,
    )
    Recording(start, args, train_dataset=numbers()).train()

    model = Classifier(dropout=0.0)
    model.load_state_dict(initial)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.learning_rate)
    for batches in rows:
        optimizer.zero_grad()
        loss = sum(model(**part)["loss"] for parts in batches.values() for part in parts) / 4
        (loss + 0.03 * sum(p.pow(2).sum() for p in model.parameters())).backward()
        optimizer.step()
    assert relative_error(list(start.parameters()), list(model.parameters())) < 1e-12


class Interrupt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("config", [MetaIRMConfig, EnvironmentConfig])
@pytest.mark.parametrize("name", ["mlp", "bert"])
def test_resumed_run_is_bit_identical_to_one_that_was_not_killed(config, name, tmp_path):
    """Dropout on, running means of the meta-losses, resumed in the middle of an epoch and past its end."""
    options = {"config": config, "max_steps": 9, "save_strategy": "steps", "save_steps": 3}
    if config is MetaIRMConfig:
        options.update(std_loss_momentum=0.9, std_loss_weight=10.0, outer_environments=1)
    trainer_of = {MetaIRMConfig: MetaIRMTrainer, EnvironmentConfig: EnvironmentTrainer}[config]

    def trainer(folder, *callbacks):
        model, dataset = model_and_data(name, 3, tied=False)
        args = arguments(tmp_path / folder, **options)
        return trainer_of(model, args, train_dataset=dataset, callbacks=list(callbacks))

    whole = trainer("whole")
    whole.train()
    killed = trainer("killed", Interrupt(7))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    torch.manual_seed(99)
    resumed = trainer("killed")
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 9
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key]), key
    if config is MetaIRMConfig:
        first, second = whole.algorithm.state_dict(), resumed.algorithm.state_dict()
        assert first
        assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_resume_says_so_when_the_running_means_are_missing(tmp_path):
    args = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    MetaIRMTrainer(Classifier(tied=False), arguments(tmp_path, **args), train_dataset=numbers()).train()
    again = MetaIRMTrainer(
        Classifier(tied=False), arguments(tmp_path, std_loss_momentum=0.5, **args), train_dataset=numbers()
    )
    with pytest.raises(ValueError, match="std_loss_momentum=0"):
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))


def test_logs_risks_meta_losses_and_gradient_norm_beside_the_loss(tmp_path):
    args = arguments(tmp_path, max_steps=4, logging_strategy="steps", logging_steps=2, std_loss_weight=2.0)
    trainer = MetaIRMTrainer(Classifier(), args, train_dataset=numbers())
    trainer.train()
    first, second = trainer.state.log_history[:2]
    names = {"loss", "grad_norm", "learning_rate", "risk_a", "risk_b", "meta_loss_mean", "meta_loss_std"}
    assert names <= set(first)
    assert first["risk_a"] != second["risk_a"]
    # J = (2 · mean + λσ)/λ for two environments.
    assert first["loss"] == pytest.approx(first["meta_loss_mean"] + first["meta_loss_std"], rel=1e-6)


@pytest.mark.parametrize(
    "drawn", [{}, {"environments_per_batch": 3}, {"outer_environments": 2}, {"same_environment": True}], ids=str
)
def test_with_the_mean_the_loss_is_that_of_two_environments_however_many_there_are(drawn, tmp_path):
    options = {"meta_loss_reduction": "mean", "std_loss_weight": 3.0, "per_device_train_batch_size": 24, **drawn}
    args = arguments(tmp_path, max_steps=2, logging_strategy="steps", logging_steps=1, **options)
    trainer = MetaIRMTrainer(Classifier(), args, train_dataset=numbers(4))
    trainer.train()
    for logged in trainer.state.log_history[:2]:
        of_two = (2 * logged["meta_loss_mean"] + 3.0 * logged["meta_loss_std"]) / 3.0
        assert logged["loss"] == pytest.approx(of_two, rel=1e-6)
    assert "(2/n)" in trainer.algorithm.describe().formula


def test_sdpa_attention_works_without_the_user_doing_anything(tmp_path):
    model, dataset = model_and_data("bert")
    assert model.config._attn_implementation == "sdpa"
    before = [p.clone() for p in model.parameters()]
    MetaIRMTrainer(model, arguments(tmp_path), train_dataset=dataset).train()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters()))


def test_trainer_features_still_work(tmp_path):
    """Schedule, clipping, accumulation, label smoothing, evaluation and the best checkpoint, in one run."""
    model, dataset = model_and_data("bert", 3)
    args = arguments(
        tmp_path,
        max_steps=6,
        per_device_train_batch_size=6,
        gradient_accumulation_steps=2,
        max_grad_norm=0.01,
        lr_scheduler_type="cosine",
        warmup_steps=2,
        label_smoothing_factor=0.1,
        logging_strategy="steps",
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="worst_environment_accuracy",
        environments_per_batch=2,
    )
    trainer = MetaIRMTrainer(model, args, train_dataset=dataset, eval_dataset=sentences(3, seed=1))
    trainer.train()
    history = trainer.state.log_history
    assert [round(h["learning_rate"], 5) for h in history if "learning_rate" in h][:2] == [0.0, 0.005]
    assert trainer.state.best_model_checkpoint is not None
    assert sum("eval_worst_environment_accuracy" in h for h in history) == 3


def test_peft_model_trains_its_adapters_only(tmp_path):
    from peft import LoraConfig, get_peft_model

    bert, dataset = model_and_data("bert")
    model = get_peft_model(bert, LoraConfig(r=2, target_modules=["query", "value"], task_type="SEQ_CLS"))
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    trained = {n: p.clone() for n, p in model.named_parameters() if p.requires_grad}
    MetaIRMTrainer(model, arguments(tmp_path), train_dataset=dataset).train()
    after = dict(model.named_parameters())
    assert all(torch.equal(v, after[n]) for n, v in frozen.items())
    assert all(not torch.equal(v, after[n]) for n, v in trained.items())


def test_ready_batches_of_tensors_train_as_rows_do(tmp_path):
    """A dataset that hands out whole batches (`TensorRows`) gives what the same rows, collated one by one, give."""
    from hf_metairm.data import TensorRows

    rows = numbers()
    tensors = TensorRows(
        {
            "x": torch.tensor(rows["x"][:]),
            "labels": torch.tensor(rows["label"][:]),
            "environment": rows["environment"][:],
            "index": torch.arange(len(rows)),
        }
    )
    results = []
    for dataset in (rows, tensors):
        model = Classifier()
        trainer = MetaIRMTrainer(model, arguments(tmp_path), train_dataset=dataset, eval_dataset=dataset)
        trainer.train()
        metrics = trainer.evaluate()
        results.append(([p.detach() for p in model.parameters()], metrics["eval_a_accuracy"]))
    assert relative_error(results[0][0], results[1][0]) < 1e-6, "float32 rows against float64 ones"
    assert results[0][1] == results[1][1]
