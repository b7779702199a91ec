"""Intervals against what they promise, and counts against counting by hand."""

from __future__ import annotations

import datasets
import numpy as np
import pytest

from hf_metairm.evaluation.bootstrap import interval, resample_accuracies
from hf_metairm.evaluation.confusion import confusion_matrix
from hf_metairm.evaluation.labels import class_ids


def test_interval_of_many_rows_is_the_binomials():
    n, accuracy = 20_000, 0.7
    right = np.arange(n) < accuracy * n
    low, high = interval(resample_accuracies({"a": right}, 20_000, seed=0)["a"])
    error = 1.959964 * np.sqrt(accuracy * (1 - accuracy) / n)
    assert low == pytest.approx(accuracy - error, abs=0.04 * error)
    assert high == pytest.approx(accuracy + error, abs=0.04 * error)


def test_interval_holds_the_truth_as_often_as_it_says():
    generator, truth, held = np.random.default_rng(0), 0.8, 0
    experiments = 1000
    for k in range(experiments):
        low, high = interval(resample_accuracies({"a": generator.random(300) < truth}, 500, seed=k)["a"])
        held += low <= truth <= high
    assert 0.92 < held / experiments < 0.97


def test_the_resampled_number_is_that_of_resampled_rows():
    right = np.random.default_rng(1).random(40) < 0.3
    drawn = right[np.random.default_rng(2).integers(0, 40, (20_000, 40))].mean(1)
    ours = resample_accuracies({"a": right}, 20_000, seed=3)["a"]
    assert ours.mean() == pytest.approx(drawn.mean(), abs=0.003)
    assert ours.std() == pytest.approx(drawn.std(), rel=0.03)


def test_environments_are_resampled_apart():
    samples = resample_accuracies({"a": np.arange(50) < 25, "b": np.arange(50) < 25}, 4000, seed=0)
    assert abs(np.corrcoef(samples["a"], samples["b"])[0, 1]) < 0.06
    assert resample_accuracies({"a": np.ones(5, bool)}, 3, seed=0)["a"].tolist() == [1, 1, 1]


def test_confusion_by_hand():
    labels, predictions = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 2, 1, 1, 2, 2])
    assert confusion_matrix(labels, predictions, 4).tolist() == [
        [1, 0, 1, 0],
        [0, 1, 0, 0],
        [0, 1, 2, 0],
        [0, 0, 0, 0],
    ]


NAMED = {0: "negative", 1: "Positive"}
NAMELESS = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
STARS = {0: "1", 1: "2", 2: "3"}


def column(values, names=None):
    rows = datasets.Dataset.from_dict({"y": values})
    return rows.cast_column("y", datasets.ClassLabel(names=names)) if names else rows


@pytest.mark.parametrize(
    ("rows", "classes", "ids"),
    [
        (column([0, 1], ["positive", "negative"]), NAMED, [1, 0]),
        (column(["positive", "negative"]), NAMED, [1, 0]),
        (column([0, 1]), NAMED, [0, 1]),
        (column(["0", "1"]), NAMED, [0, 1]),
        (column([2, 0], ["a", "b", "c"]), NAMELESS, [2, 0]),
        (column([1, 3]), STARS, [0, 2]),
        (column([1, 0], ["1", "3"]), STARS, [2, 0]),
        (column([True, False]), {0: "False", 1: "True"}, [1, 0]),
    ],
)
def test_labels_are_matched_by_name_where_both_have_names(rows, classes, ids):
    assert class_ids(rows, "y", classes).tolist() == ids


@pytest.mark.parametrize(
    ("rows", "classes", "message"),
    [
        (column([0, 1], ["cat", "dog"]), NAMED, "'cat', which is none of the model's classes"),
        (column(["good"]), NAMELESS, "the model's classes have no names"),
        (column([0, 5]), NAMED, "holds the label 5"),
        (column([0]), STARS, "'0', which is none of the model's classes"),
        (column(["a", None]), NAMED, "1 of 2 rows have no label"),
        (column([-1, 0], ["a", "b"]), NAMELESS, "1 of 2 rows have no label"),
        (column([0.5]), NAMED, "holds 0.5"),
    ],
)
def test_labels_that_do_not_fit_are_refused(rows, classes, message):
    with pytest.raises(ValueError, match=message):
        class_ids(rows, "y", classes)
