"""`hyperparameter_search` with Optuna: as in transformers, with spaces and objectives that know of environments."""

from __future__ import annotations

import logging

import pytest
from transformers import TrainerCallback

from hf_metairm import EnvironmentConfig, MetaIRMConfig, RExConfig
from hf_metairm.selection import accuracy_less_spread, spread_of_losses, worst_environment, worst_environment_risk
from hf_metairm.trainer import ALGORITHMS

from .toys import Classifier, arguments, numbers


optuna = pytest.importorskip("optuna")


class Collect(TrainerCallback):
    """Keeps the worst environment's loss of every evaluation."""

    def __init__(self):
        self.losses = []

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self.losses.append(metrics["eval_worst_environment_loss"])


def made(folder, algorithm="meta-irm", config=MetaIRMConfig, held_out=None, **options):
    """A Trainer that makes a model for each trial."""
    options = {"save_strategy": "no", **options}
    return ALGORITHMS[algorithm][0](
        model_init=lambda: Classifier(dropout=0.0, tied=False),
        args=arguments(folder, config, **options),
        train_dataset=numbers(3),
        eval_dataset=numbers(3, seed=2) if held_out is None else held_out,
    )


def test_every_trial_draws_the_algorithms_own_settings(tmp_path):
    trainer, seen = made(tmp_path, std_loss_weight=100), []  # not 100.0

    def objective(metrics):
        seen.append((trainer.args.std_loss_weight, trainer.algorithm.settings.inner_learning_rate, metrics))
        return worst_environment(metrics)

    best = trainer.hyperparameter_search(
        backend="optuna", n_trials=3, direction="maximize", compute_objective=objective, storage=None
    )
    assert set(best.hyperparameters) == {
        "learning_rate",
        "inner_learning_rate",
        "std_loss_weight",
        "penalty_anneal_steps",
    }
    assert best.objective == max(metrics["eval_worst_environment_accuracy"] for *_, metrics in seen)
    assert len({weight for weight, *_ in seen}) == 3
    chosen = int(best.run_id)
    assert seen[chosen][0] == best.hyperparameters["std_loss_weight"]
    assert seen[chosen][1] == best.hyperparameters["inner_learning_rate"]


@pytest.mark.parametrize(("algorithm", "config"), [("erm", EnvironmentConfig), ("v-rex", RExConfig)])
def test_where_nothing_is_said_the_worst_environments_loss_is_minimized(algorithm, config, tmp_path):
    trainer, seen = made(tmp_path, algorithm, config, learning_rate=1e-2), Collect()
    trainer.add_callback(seen)
    best = trainer.hyperparameter_search(n_trials=2)
    assert best.objective == min(seen.losses)
    assert 1e-3 <= best.hyperparameters["learning_rate"] <= 1e-1
    assert ("penalty_weight" in best.hyperparameters) == (algorithm == "v-rex")
    trainer.train()  # The Trainer is whole afterwards, and so is a second search.
    assert trainer.hyperparameter_search(n_trials=1).hyperparameters


def test_trials_with_evaluations_and_checkpoints_on_the_way(tmp_path):
    options = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 2}
    trainer = made(tmp_path, std_loss_momentum=0.5, **options)
    best = trainer.hyperparameter_search(
        hp_space=lambda trial: {"std_loss_weight": trial.suggest_float("std_loss_weight", 1.0, 2.0)},
        compute_objective=accuracy_less_spread,
        direction="maximize",
        n_trials=2,
        pruner=optuna.pruners.NopPruner(),
    )
    assert list(best.hyperparameters) == ["std_loss_weight"]
    found = {f"{place.parent.name}/{place.name}" for place in tmp_path.glob("run-*/checkpoint-*")}
    assert found == {f"run-{trial}/checkpoint-{step}" for trial in (0, 1) for step in (2, 3)}


def test_a_setting_that_is_refused_is_refused_in_its_trial(tmp_path):
    trainer = made(tmp_path)
    with pytest.raises(ValueError, match=r"inner_learning_rate=0\.0 is refused"):
        trainer.hyperparameter_search(
            hp_space=lambda trial: {"inner_learning_rate": trial.suggest_float("inner_learning_rate", 0.0, 0.0)},
            n_trials=1,
        )


@pytest.mark.parametrize(("environments", "warned"), [(3, False), (4, True)])
def test_who_searches_by_an_unseen_environment_is_told(environments, warned, tmp_path, caplog):
    trainer = made(tmp_path, held_out=numbers(environments, seed=2), max_steps=1)
    with caplog.at_level(logging.WARNING, "hf_metairm"):
        trainer.hyperparameter_search(n_trials=1)
    assert ("does not see (d)" in caplog.text) == warned


METRICS = {
    "eval_a_loss": 0.5,
    "eval_b_loss": 0.7,
    "eval_a_accuracy": 0.8,
    "eval_b_accuracy": 0.6,
    "eval_worst_environment_loss": 0.7,
    "eval_mean_environment_loss": 0.6,
    "eval_worst_environment_accuracy": 0.6,
    "eval_mean_environment_accuracy": 0.7,
    "eval_loss": 0.61,
}


def test_the_objectives_are_what_they_say():
    assert worst_environment(METRICS) == 0.6
    assert worst_environment_risk(METRICS) == 0.7
    assert spread_of_losses(METRICS) == pytest.approx(0.1)
    assert accuracy_less_spread(METRICS, weight=2.0) == pytest.approx(0.4)


@pytest.mark.parametrize("objective", [worst_environment, accuracy_less_spread, spread_of_losses])
def test_an_evaluation_without_environments_is_refused(objective):
    with pytest.raises(ValueError, match="environment column"):
        objective({"eval_loss": 0.5, "eval_accuracy": 0.7})
