"""A search over settings: what it tries, what the rules see, and what is left after a kill."""

from __future__ import annotations

import dataclasses
import json

import pytest

from hf_metairm.algorithms import ALGORITHMS
from hf_metairm.experiments.run import Run
from hf_metairm.experiments.store import Store
from hf_metairm.selection import TUNING_RULES
from hf_metairm.tuning import study as study_module
from hf_metairm.tuning.difference import find_difference
from hf_metairm.tuning.recommendation import recommend
from hf_metairm.tuning.report import write_study
from hf_metairm.tuning.space import default_settings, draw_settings, search_space
from hf_metairm.tuning.study import Plan, search
from hf_metairm.tuning.trial import Trial, features_file, fields_of

from .made import made_features


pytestmark = pytest.mark.usefixtures("drawn_pictures")
SITES = {"a": 0.95, "b": 0.85, "c": 0.65}


def plan_of(features, **changes):
    quick = {"max_steps": 100, "learning_rate": 0.02}
    given = {"erm": quick, "mm-rex": {**quick, "penalty_anneal_steps": 20}}
    plan = Plan(
        ("erm", "mm-rex"), list(SITES), lambda seed: features.key, 8, 2, (0, 1), "worst-group", 0.15, "z", given
    )
    return dataclasses.replace(plan, **changes)


@pytest.fixture
def features(tmp_path):
    made = made_features(SITES, {"z": 0.1})
    made.save(features_file(tmp_path, made.key))
    return made


def test_features_come_back_as_they_were_saved(features, tmp_path):
    loaded = type(features).load(features_file(tmp_path, features.key))
    for part in ("train", "validation", "test"):
        for column in ("features", "labels"):
            assert (getattr(loaded, part)[column] == getattr(features, part)[column]).all()
        assert getattr(loaded, part)["environment"] == getattr(features, part)["environment"]
    assert (loaded.labels, loaded.activation, loaded.key) == (features.labels, features.activation, features.key)


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_settings_are_drawn_within_the_ranges_and_do_not_depend_on_how_many_there_are(name):
    many = draw_settings(name, 12, seed=0)
    assert many[:5] == draw_settings(name, 5, seed=0)
    assert many[0] == default_settings(name)
    for field, where in search_space(name).items():
        scale = [drawn["max_steps"] / 300 if field == "penalty_anneal_steps" else 1 for drawn in many[1:]]
        values = [round(drawn[field] / part, 6) for drawn, part in zip(many[1:], scale)]
        if field == "penalty_anneal_steps":
            where = dataclasses.replace(where, low=where.low - 2, high=where.high + 2)  # rounded to whole steps
        assert all(where.low <= value <= where.high for value in values)
        assert len(set(values)) > 1
    assert draw_settings(name, 0, seed=0) == []


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "erm"])
def test_every_algorithm_trains_a_head_with_its_defaults_for_features(name, features, tmp_path):
    plan = plan_of(features, algorithms=(name,), trials=1, seeds=(0,), given={name: {"max_steps": 70}})
    (found,) = search(plan, Trial(tmp_path), Store(tmp_path), None, lambda line: None).trials[name]
    assert fields_of(found["settings"])["learning_rate"] == default_settings(name)["learning_rate"]
    assert all(0 < metrics["risk"] < 2 for metrics in found["validation"].values())


def test_a_search_finds_what_survives_where_the_cue_turns_round(features, tmp_path):
    found = search(plan_of(features), Trial(tmp_path), Store(tmp_path), None, lambda line: None)
    assert {name: len(results) for name, results in found.trials.items()} == {"erm": 2, "mm-rex": 2}
    erm, rex = found.chosen["erm"], found.chosen["mm-rex"]
    assert rex["test"]["z"]["accuracy"] > erm["test"]["z"]["accuracy"] + 0.1
    assert set(rex["left_out"]) == set(SITES), "each training environment was left out once"
    difference = find_difference(features.train, features.validation)[0]
    recommendation = recommend(found.chosen, difference, 0.5)
    assert recommendation.algorithm == "mm-rex"
    # What it leaves: a table for people, a picture, Optuna's study.
    write_study(found, tmp_path, "worst-group", recommendation, "It saw these rows.")
    text = (tmp_path / "recommendation.md").read_text()
    assert "Recommended: mm-rex." in text
    assert "| mm-rex |" in text
    assert (tmp_path / "trade.png").stat().st_size > 10_000
    assert "plotly" in (tmp_path / "trade.html").read_text()
    import optuna

    kept = optuna.load_study(study_name="mm-rex", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert "learning_rate" not in kept.trials[0].params, "it was given, and not searched"
    assert [t.params["penalty_weight"] for t in kept.trials] == [
        fields_of(r["settings"])["penalty_weight"] for r in found.trials["mm-rex"]
    ]


def measured(run, folder, tell):
    """In place of a training where only what is done with results counts: numbers that depend on the settings."""
    value = 0.5 + int(run.key, 16) % 100 / 250
    found = {name: {"accuracy": value - 0.01 * k, "risk": 1 - value, "rows": 9} for k, name in enumerate("abc")}
    found = {name: {**metrics, "calibration_error": value / 10} for name, metrics in found.items()}
    shown = {"name": run.name, "seed": run.seed, "settings": run.settings, "train_seconds": 0.0}
    if without := run.settings.get("without"):
        return {**shown, "left_out": {without: found[without]}}
    return {
        **shown,
        "validation": found,
        "groups": {"one": found["a"], "other": found["c"]},
        "test": {"z": found["a"]},
    }


class Killed(BaseException):
    """As a kill ends a process: nobody catches it."""


def test_finalists_may_have_divisions_of_their_own(tmp_path):
    of_seed = {seed: made_features(SITES, {"z": 0.1}, seed=seed) for seed in (0, 1)}
    for seed, made in of_seed.items():
        of_seed[seed] = made = dataclasses.replace(made, key=f"division-{seed}")
        made.save(features_file(tmp_path, made.key))
    asked = []

    def key(seed):
        asked.append(seed)
        return of_seed[seed].key

    plan = dataclasses.replace(plan_of(of_seed[0]), features=key)
    assert {run.settings["features"] for run in plan.trial_runs()} == {"division-0"}
    assert set(asked) == {0}, "the others are made when finalists need them"
    study = search(plan, Trial(tmp_path), Store(tmp_path), None, lambda line: None)
    done = {(r["settings"]["seed"], r["settings"]["features"]) for r in Store(tmp_path).results("trials")}
    assert done == {(0, "division-0"), (1, "division-1")}
    for name, finalists in study.finalists.items():
        for finalist in finalists:
            assert finalist["seeds"] == 2, name


def test_after_kills_the_trials_are_those_of_an_uninterrupted_search_and_none_is_done_twice(features, tmp_path):
    quick = {"max_steps": 10, "penalty_anneal_steps": 5}
    plan = plan_of(features, algorithms=("mm-rex",), given={"mm-rex": quick})
    work, done = Trial(tmp_path), []

    def killed_after(count):
        left = count

        def carry_out(run, folder, tell):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            done.append(run.key)
            return work(run, folder, tell)

        return carry_out

    for _ in range(12):
        try:
            interrupted = search(plan, killed_after(2), Store(tmp_path / "killed"), None, lambda line: None)
            break
        except Killed:
            continue
    whole = search(plan, work, Store(tmp_path / "whole"), None, lambda line: None)
    assert len(done) == len(set(done)), "no run was carried out twice"

    def plain(found):
        return [{k: v for k, v in r.items() if k in ("settings", "validation", "test")} for r in found]

    for name in plan.algorithms:
        assert plain(interrupted.trials[name]) == plain(whole.trials[name])
        assert plain([interrupted.chosen[name]]) == plain([whole.chosen[name]])


@pytest.mark.parametrize("rule", ["half-range", "worst-group", "invariance", "train-environments", "leave-one-out"])
def test_no_rule_sees_what_was_measured_in_the_unseen_environment(rule, features, tmp_path, monkeypatch):
    seen = []
    own = study_module.TUNING_RULES[rule]

    def watched(runs, margin, unseen):
        seen.extend(runs)
        return own(runs, margin, unseen)

    monkeypatch.setitem(study_module.TUNING_RULES, rule, watched)
    search(plan_of(features, rule=rule), measured, Store(tmp_path), None, lambda line: None)
    assert seen
    assert all("test" not in run and '"z"' not in json.dumps(run) for run in seen)


def test_an_algorithm_whose_trials_all_fail_is_named_with_the_reason(features, tmp_path):
    def carry_out(run, folder, tell):
        if run.settings["algorithm"] == "mm-rex":
            raise RuntimeError("the loss is not finite")
        return measured(run, folder, tell)

    with pytest.raises(ValueError, match=r"Every trial of mm-rex failed.*the loss is not finite"):
        search(plan_of(features, trials=1), carry_out, Store(tmp_path), None, lambda line: None)


def test_trials_of_other_rows_are_left_alone(features, tmp_path):
    plan = plan_of(features, trials=1)
    search(plan, measured, Store(tmp_path), None, lambda line: None)
    other = dataclasses.replace(plan, features=lambda seed: "of other rows")
    search(other, measured, Store(tmp_path), None, lambda line: None)
    kept = Store(tmp_path).results("trials")
    assert {Run("", r["settings"]).settings["features"] for r in kept} == {features.key, "of other rows"}


def test_a_hopeless_trial_is_ended_early(features, tmp_path):
    work = Trial(tmp_path)
    hopeless = {"max_steps": 200, "learning_rate": 1e-9, "l2_regularization": 0.0}
    run = plan_of(features).run("erm", hopeless)
    assert 100 < work(run, tmp_path / "hopeless", lambda step: None)["steps"] <= 120
    run = plan_of(features).run("erm", {**hopeless, "learning_rate": 0.02})
    assert work(run, tmp_path / "not", lambda step: None)["steps"] == 200


def test_a_trial_whose_loss_is_not_finite_says_so(features, tmp_path):
    run = plan_of(features).run("erm", {"max_steps": 30, "learning_rate": 1e38})
    with pytest.raises(FloatingPointError, match="not finite at step 20"):
        Trial(tmp_path)(run, tmp_path / "run", lambda step: None)


def test_of_trials_that_are_as_good_in_their_worse_group_the_most_accurate_is_chosen():
    def run(mean, worse):
        validation = {name: {"accuracy": mean, "risk": 0.5} for name in "ab"}
        return {"validation": validation, "groups": {"one": {"accuracy": 0.9, "rows": 900}, "other": worse}}

    # A standard error of 0.7 over 400 rows is 0.023.
    best = run(0.70, {"accuracy": 0.70, "rows": 400})
    as_good = run(0.80, {"accuracy": 0.68, "rows": 400})
    worse = run(0.90, {"accuracy": 0.67, "rows": 400})
    assert TUNING_RULES["worst-group"]([best, as_good, worse], 0.15, "") is as_good
    assert TUNING_RULES["worst-group"]([best, worse], 0.15, "") is best
