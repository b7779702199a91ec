"""The selection rules, on trials whose right choice is plain."""

from __future__ import annotations

import math

import pytest

from hf_metairm.experiments.search import RANGES
from hf_metairm.paper import runs as paper_runs
from hf_metairm.paper.runs import choices, chosen_runs, searched, trial_runs
from hf_metairm.paper.tables import TABLES
from hf_metairm.selection import RULES


def trial(name, accuracy, risk, calibration, unseen):
    """A result with two training environments."""
    validation = {
        f"p=0.{k}": {"accuracy": a, "risk": r, "calibration_error": c}
        for k, a, r, c in zip((1, 2), accuracy, risk, calibration)
    }
    return {
        "settings": {"row": f"irmv1, trial {name}", "hidden_size": 8, "steps": 501, "fields": {}},
        "validation": validation,
        "test": {"p=0.9": {"accuracy": unseen}},
    }


SHORTCUT = trial(0, (0.90, 0.80), (0.30, 0.50), (0.02, 0.09), 0.10)
INVARIANT = trial(1, (0.71, 0.70), (0.60, 0.61), (0.03, 0.08), 0.68)
CALIBRATED = trial(2, (0.74, 0.71), (0.58, 0.62), (0.02, 0.03), 0.60)
CONSTANT = trial(3, (0.50, 0.50), (0.69, 0.69), (0.00, 0.00), 0.50)
FAR = trial(4, (0.68, 0.68), (0.59, 0.62), (0.20, 0.20), 0.70)


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ("train-environments", SHORTCUT),
        ("invariance", INVARIANT),
        ("calibration", CALIBRATED),
        ("oracle", INVARIANT),
    ],
)
def test_each_rule_chooses_what_its_name_says(rule, chosen):
    trials = [SHORTCUT, INVARIANT, CALIBRATED, CONSTANT, FAR]
    assert RULES[rule](trials, 0.11, "p=0.9") is chosen


def test_no_rule_but_the_oracle_looks_at_the_unseen_environment():
    trials = [SHORTCUT, INVARIANT, CALIBRATED, CONSTANT, FAR]
    blind = [{name: value for name, value in trial.items() if name != "test"} for trial in trials]
    for name, rule in RULES.items():
        if name != "oracle":
            assert rule(blind, 0.11, "p=0.9")["settings"] == rule(trials, 0.11, "p=0.9")["settings"]
    with pytest.raises(KeyError):
        RULES["oracle"](blind, 0.11, "p=0.9")


def test_draws_stay_in_their_ranges_and_depend_on_the_trial_alone():
    table = TABLES["colored_mnist"]
    row = table.row("meta-irm")
    drawn = [paper_runs.trial(table, row, number) for number in range(200)]
    assert drawn == [paper_runs.trial(table, row, number) for number in range(200)]
    logs = [math.log10(d.fields["inner_learning_rate"]) for d in drawn]
    assert -1.5 <= min(logs) < -1.3
    assert 0.3 < max(logs) <= 0.5
    assert {name for name in RANGES["meta-irm"] if name != "hidden_size"} <= set(drawn[0].fields)
    assert all(64 <= d.hidden_size <= 512 for d in drawn)


def test_every_algorithm_gets_the_same_number_of_trials_and_references_none():
    table = TABLES["colored_mnist"]
    rows = searched(table)
    runs = trial_runs(table, rows, 3, batch=100, source="bundled", word_vectors=None)
    assert [row.name for row in rows] == ["erm", "irmv1", "mm-rex", "v-rex", "meta-irm"]
    assert len(runs) == len(set(runs)) == 15


def test_what_two_rules_chose_is_trained_once():
    table = TABLES["colored_mnist"]
    chosen = choices(table, [table.row("irmv1")], [SHORTCUT, INVARIANT, CALIBRATED], 0.11)
    assert len(chosen) == 4
    runs = chosen_runs(table, chosen, 2, batch=100, source="bundled", word_vectors=None)
    assert sorted(run.settings["row"] for run in runs) == sorted(
        f"irmv1, trial {number}, chosen" for number in (0, 1, 2) for _ in range(2)
    )
