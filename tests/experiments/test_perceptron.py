"""A batch that is the whole dataset is made once, and trains what batches drawn anew train."""

from __future__ import annotations

import pytest
import torch
from transformers import set_seed

from hf_metairm.experiments.perceptron import load, make_model, whole_batches
from hf_metairm.trainer import ALGORITHMS


@pytest.mark.parametrize("algorithm", ["erm", "meta-irm"])
def test_whole_batches_train_what_drawn_ones_train(algorithm, tmp_path):
    few = {"examples_per_environment": 40, "test_environments": (0.9,)}
    data = load("colored_mnist", "binary", 0, changes=few, source="bundled")
    trainer_class, config_class = ALGORITHMS[algorithm]
    trained = []
    for kind in (trainer_class, whole_batches(trainer_class)):
        set_seed(0)
        args = config_class(
            output_dir=str(tmp_path),
            per_device_train_batch_size=len(data.train),
            max_steps=5,
            learning_rate=1e-2,
            optim="sgd",
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            use_cpu=True,
        )
        trainer = kind(make_model(data, 16), args, train_dataset=data.train, eval_dataset=data.test)
        trainer.train()
        assert trainer.state.global_step == trainer.state.epoch == 5
        trained.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
    assert type(trainer).__name__ == trainer_class.__name__
    torch.testing.assert_close(trained[1], trained[0], rtol=0, atol=1e-6)
