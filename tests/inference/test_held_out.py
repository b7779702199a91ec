"""The test of a split: against the test for equal proportions, and how often chance passes it."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from hf_metairm.inference import infer_environments
from hf_metairm.inference.held_out import SIGNIFICANT, told

from .made import reviews


def test_two_classes_are_the_test_for_equal_proportions():
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.3).astype(int)
    predicted = np.where(rng.random(400) < 0.1, labels, rng.integers(0, 2, 400))
    found = told(predicted, labels)
    first, second = predicted[labels == 1].mean(), predicted[labels == 0].mean()
    share = predicted.mean()
    z = (first - second) / (share * (1 - share) * (1 / (labels == 1).sum() + 1 / (labels == 0).sum())) ** 0.5
    assert found.accuracy == pytest.approx((first + 1 - second) / 2)
    assert found.chance == pytest.approx(0.5)
    assert found.p_value == pytest.approx(1 - NormalDist().cdf(z), rel=1e-6)


def test_chance_is_what_permuted_predictions_get():
    rng = np.random.default_rng(1)
    labels, predicted = rng.choice(4, 300, p=[0.5, 0.3, 0.15, 0.05]), rng.choice(4, 300, p=[0.4, 0.3, 0.2, 0.1])
    permuted = [told(rng.permutation(predicted), labels) for _ in range(2000)]
    assert np.mean([one.accuracy for one in permuted]) == pytest.approx(permuted[0].chance, abs=0.004)
    assert np.mean([one.p_value < 0.05 for one in permuted]) == pytest.approx(0.05, abs=0.02)


def test_predictions_of_one_class_and_labels_of_one_class_tell_nothing():
    assert told(np.zeros(10, int), np.arange(10) % 2).p_value == 1.0
    assert told(np.arange(10) % 2, np.zeros(10, int)).p_value == 1.0


@pytest.mark.parametrize("content", [0.5, 0.75])
def test_chance_seldom_passes(content):
    """No cue: labels are noise, or one word tells them and the errors are noise."""
    found = [infer_environments("regression", reviews(seed, 300, content, None)[0]) for seed in range(40)]
    assert sum(one.held_out.p_value < SIGNIFICANT for one in found) <= 4
    assert all(bool(one.warnings) == (one.held_out.p_value > SIGNIFICANT) for one in found)
