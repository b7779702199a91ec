from __future__ import annotations

import signal

import pytest
from transformers import TrainerCallback

from hf_metairm import EnvironmentConfig, EnvironmentTrainer
from hf_metairm.experiments.run import Run
from hf_metairm.experiments.training import train_run

from ..trainer import toys


class Fail(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        assert signal.getsignal(signal.SIGTERM).__name__ == "_note"
        raise RuntimeError("a step failed")


def test_signals_are_given_back_when_training_fails(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def make_trainer(folder, stack):
        args = toys.arguments(folder, EnvironmentConfig)
        trainer = EnvironmentTrainer(toys.Classifier(tied=False), args, train_dataset=toys.numbers())
        trainer.add_callback(Fail())
        return trainer

    with pytest.raises(RuntimeError, match="a step failed"):
        train_run(Run("erm", {"seed": 0}), tmp_path, make_trainer, lambda trainer: {})
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
