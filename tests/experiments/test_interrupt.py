"""Ctrl-C and SIGTERM in every phase of a run: one line that says how to go on, and the same end after that."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest
from transformers import TrainerCallback

from hf_metairm import EnvironmentConfig, EnvironmentTrainer
from hf_metairm.experiments import comparison
from hf_metairm.experiments.command import run_command
from hf_metairm.experiments.engine import carry_out
from hf_metairm.experiments.run import Run
from hf_metairm.experiments.store import Store
from hf_metairm.experiments.training import train_run

from ..faults import in_a_fork, signals
from ..trainer import toys
from .test_faults import Toys, ends_as, left_alone, train  # noqa: F401  a fixture


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


# By phase, what is called in it.
PHASES = {
    "loading data": (Toys, "make_trainer"),
    "training": (EnvironmentTrainer, "training_step"),
    "evaluating": (EnvironmentTrainer, "evaluate"),
    "writing a checkpoint": (EnvironmentTrainer, "_save_optimizer_and_scheduler"),
    "writing the model": (EnvironmentTrainer, "_save"),
    "writing the card": (EnvironmentTrainer, "card_facts"),
    "writing the result": (Store, "write"),
    "writing the table": (comparison, "write_summary"),
}


def send_in(phase, number, times):
    """When the phase begins, this process gets a signal; for the rest of the process."""
    owner, name = PHASES[phase]
    original = getattr(owner, name)

    def interrupted(*args, **kwargs):
        setattr(owner, name, original)
        signals(number, times)
        return original(*args, **kwargs)

    setattr(owner, name, interrupted)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGINT, 9), (signal.SIGTERM, 1)]
)
def test_one_line_and_the_same_end(phase, number, times, left_alone, tmp_path):  # noqa: F811
    whole, *_ = left_alone[train]
    folder, log = tmp_path / "run", tmp_path / "log"

    def start():
        send_in(phase, number, times)
        train(folder)

    assert in_a_fork(start, log) == 130, log.read_text()
    said = log.read_text()
    assert said.count("Interrupted. What was trained is kept: the same command goes on from there.") == 1
    assert "Traceback" not in said
    assert in_a_fork(lambda: train(folder), log) == 0, log.read_text()
    assert ends_as(folder) == whole


def test_ctrl_c_that_is_ignored_stays_so(left_alone, tmp_path):  # noqa: F811
    """As in a command that a shell started in the background, whose terminal's Ctrl-C is for somebody else."""
    whole, *_ = left_alone[train]
    folder, log = tmp_path / "run", tmp_path / "log"

    def start():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for phase in PHASES:
            send_in(phase, signal.SIGINT, times=2)
        train(folder)

    assert in_a_fork(start, log) == 0, log.read_text()
    assert "Stopping" not in log.read_text()
    assert ends_as(folder) == whole


def test_a_signal_whose_exception_is_lost_stops_before_the_next_run(tmp_path):
    started = []

    def work(run, folder, tell):
        started.append(run.seed)
        # As where it reaches a destructor or a weak reference's callback: what is raised there is printed, and lost.
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        return {"name": "erm", "seed": run.seed, "settings": run.settings, "test": {}, "train_seconds": 0.0}

    def recipe():
        runs = [Run("erm", {"seed": seed}) for seed in range(3)]
        carry_out(runs, Store(tmp_path), work, say=lambda line: None)

    with pytest.raises(SystemExit) as ended:
        run_command(recipe)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # The end of a command has no ear for it.
    assert (ended.value.code, started) == (130, [0])
    assert [result["seed"] for result in Store(tmp_path).results()] == [0], "what was done is kept"
