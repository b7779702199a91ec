"""ERM on environment batches is plain fine-tuning: the parameters of `transformers.Trainer` on the same rows."""

from __future__ import annotations

import pytest
from transformers import Trainer, TrainingArguments

from hf_metairm import EnvironmentConfig, EnvironmentTrainer

from ..gradients.reference import relative_error
from . import tasks


def common(tmp_path, **options):
    defaults = {
        "output_dir": str(tmp_path),
        "per_device_train_batch_size": 4,
        "max_steps": 20,
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "max_grad_norm": 0.5,
        "optim": "sgd",
    }
    return {**defaults, **options}


def both(task, tmp_path, **options):
    """
    The environment Trainer, and the plain one with its sampler. The loss of a Bert over tokens is a mean over each
    micro-batch, so a plain Trainer that accumulates them has a mean of means: it is given the joint batch instead.
    """
    whole = dict(options)
    if task == "tokens":
        whole["per_device_train_batch_size"] = 4 * whole.pop("gradient_accumulation_steps", 1)
    data = tasks.rows(task)
    ours = EnvironmentTrainer(
        tasks.model(task),
        EnvironmentConfig(**common(tmp_path, **options)),
        train_dataset=data,
        data_collator=tasks.collator(task),
    )

    class Plain(Trainer):
        def _get_train_sampler(self, train_dataset=None):
            return ours.make_sampler()

    plain = Plain(
        tasks.model(task),
        TrainingArguments(**common(tmp_path, **whole)),
        train_dataset=data.remove_columns("environment"),
        data_collator=tasks.collator(task),
    )
    # Bert's classifiers ignore `num_items_in_batch`; transformers takes their loss for scaled by it all the same.
    plain.model_accepts_loss_kwargs = task == "language"
    return ours, plain


@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("task", ["classification", "tokens", "language"])
def test_twenty_steps_of_erm_are_those_of_a_plain_trainer(task, accumulation, tmp_path):
    ours, plain = both(task, tmp_path, gradient_accumulation_steps=accumulation)
    start = [p.detach().clone() for p in ours.model.parameters()]
    ours.train()
    plain.train()
    trained = list(plain.model.parameters())
    assert relative_error(trained, start) > 1e-3, "training went somewhere"
    assert relative_error(list(ours.model.parameters()), trained) < 1e-6
