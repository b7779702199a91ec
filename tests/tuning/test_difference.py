"""What differs between environments, and what it is recommended for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from hf_metairm.tuning.difference import RIDGE, Difference, find_difference, fit_head
from hf_metairm.tuning.recommendation import recommend

from .made import rows


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_is_what_scikit_learn_fits(classes):
    torch.manual_seed(0)
    x, y = torch.randn(300, 5), torch.randint(0, classes, (300,))
    x[torch.arange(300), y] += 1.0
    head = fit_head(x, y, classes)
    # Its C multiplies the sum of the losses; for two classes it has one weight vector, half of whose square counts.
    reference = LogisticRegression(C=1 / (RIDGE * 300), tol=1e-8, max_iter=2000)
    if classes == 2:
        reference.C *= 2
    reference.fit(x, y)
    expected = torch.from_numpy(reference.predict_log_proba(x)).float()
    found = torch.log_softmax(head(x), 1)
    assert torch.allclose(found, expected, atol=2e-3)


def test_a_cue_whose_strength_differs_is_found_and_its_rows_are_told_apart():
    sites = {"a": 0.95, "b": 0.85, "c": 0.6}
    train, validation = rows(sites, 500, seed=0), rows(sites, 500, seed=1)
    difference, first = find_difference(train, validation)
    assert difference.environments == ("a", "c")
    assert difference.is_significant
    agrees = (validation["features"][:, 2] > 0) == (validation["labels"] > 0)
    assert np.mean(first == agrees.numpy()) > 0.95


@pytest.mark.parametrize("agreement", [0.5, 0.8])
def test_environments_that_agree_are_not_said_to_differ(agreement):
    sites = dict.fromkeys("abc", agreement)
    found = [find_difference(rows(sites, 400, 2 * k), rows(sites, 400, 2 * k + 1))[0] for k in range(10)]
    assert not any(difference.is_significant for difference in found)


def measured(worst, groups, rows=200):
    return {
        "validation": {name: {"accuracy": worst, "risk": 0.5, "rows": rows} for name in "ab"},
        "groups": {name: {"accuracy": value, "rows": rows} for name, value in zip(("one", "other"), groups)},
    }


DIFFER, AGREE = Difference(("a", "b"), 0.08, 0.01), Difference(("a", "b"), 0.01, 0.01)


@pytest.mark.parametrize(
    ("difference", "erm", "other", "wanted", "reason"),
    [
        (AGREE, measured(0.8, (0.9, 0.5)), measured(0.8, (0.8, 0.8)), "erm", "nothing in these data tells"),
        (DIFFER, measured(0.8, (0.9, 0.5)), measured(0.78, (0.8, 0.75)), "v-rex", "It costs 2.0 points"),
        (DIFFER, measured(0.8, (0.9, 0.7)), measured(0.8, (0.8, 0.72)), "erm", "no more than chance"),
        (DIFFER, measured(0.8, (0.9, 0.5)), measured(0.5, (0.6, 0.6)), "erm", "No algorithm survives"),
    ],
)
def test_the_recommendation_may_be_erm_and_says_why(difference, erm, other, wanted, reason):
    found = recommend({"erm": erm, "v-rex": other}, difference, majority=0.52)
    assert found.algorithm == wanted
    assert reason in str(found)
