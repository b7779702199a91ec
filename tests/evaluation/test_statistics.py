"""Intervals against what they promise, and labels against the classes that they name."""

from __future__ import annotations

import datasets
import numpy as np
import pytest

from hf_metairm.evaluation.intervals import of_mean, of_worst, wilson
from hf_metairm.evaluation.labels import class_ids


def test_interval_of_many_rows_is_the_binomials():
    n, accuracy = 20_000, 0.7
    low, high = wilson(accuracy, n)
    error = 1.959964 * np.sqrt(accuracy * (1 - accuracy) / n)
    assert low == pytest.approx(accuracy - error, abs=0.01 * error)
    assert high == pytest.approx(accuracy + error, abs=0.01 * error)


def test_its_ends_are_where_the_share_is_z_standard_errors_away():
    for share, n in ((0.3, 40), (0.95, 20), (0.5, 3)):
        for end in wilson(share, n):
            assert abs(share - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / n), rel=1e-5)
    assert wilson(0.0, 10)[0] == pytest.approx(0.0, abs=1e-12)
    assert 0.2 < wilson(0.0, 10)[1] < 0.35, "also where nothing was right"
    assert wilson(1.0, 10)[1] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("truths", [(0.8,), (0.8, 0.8, 0.8, 0.8), (0.9, 0.6, 0.95)])
def test_intervals_hold_the_truth_as_often_as_they_say(n, truths):
    generator, experiments = np.random.default_rng(0), 4000
    shares = generator.binomial(n, truths, (experiments, len(truths))) / n
    rows = [n] * len(truths)
    held = dict.fromkeys(("one", "mean", "worst"), 0)
    for found in shares:
        for name, (low, high), truth in (
            ("one", wilson(found[0], n), truths[0]),
            ("mean", of_mean(found, rows), np.mean(truths)),
            ("worst", of_worst(found, rows), min(truths)),
        ):
            held[name] += low <= truth <= high
    assert all(0.92 < held[name] / experiments < 0.98 for name in ("one", "mean")), held
    assert held["worst"] / experiments > 0.92, held


def test_one_environment_is_its_own_mean_and_worst():
    assert of_mean([0.7], [50]) == pytest.approx(wilson(0.7, 50))
    assert of_worst([0.7], [50]) == pytest.approx(wilson(0.7, 50))


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
        (column(["True", "FALSE"]), {0: "False", 1: "True"}, [1, 0]),
        (column(["1.0", "0.0"]), NAMELESS, [1, 0]),
        (column([1.0, 0.0]), NAMELESS, [1, 0]),
        (column(["3.0", "1"]), STARS, [2, 0]),
        (column([3.0, 1.0]), STARS, [2, 0]),
        (column(["1.0", "2"]), {0: "1.0", 1: "2.0"}, [0, 1]),
        (column(["01", "1"]), {0: "1", 1: "01"}, [1, 0]),
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
        (column(["a", None]), NAMED, "1 row has no value in column 'y'"),
        (column([-1, 0], ["a", "b"]), NAMELESS, "1 row has no value in column 'y'"),
        (column([0.5]), NAMED, "holds 0.5"),
        (column(["10", "9", "2"]), NAMED, r"has 3 labels \(2, 9, 10\), and the model tells 2 classes apart"),
        (column([1, 2]), NAMELESS, "holds 1, 2, and .* whether 0 or 1 is the first .* --labels NAME0,NAME1,NAME2"),
        (column(["1"]), NAMED, "whether 0 or 1 is the first"),
        (column(["True", "False"]), {0: "LABEL_0", 1: "LABEL_1"}, "--labels NAME0,NAME1"),
        (column([0, 1], ["a", "b", "c"]), {0: "LABEL_0", 1: "LABEL_1"}, "has 3 labels"),
        (column(["bad", "good"]), NAMELESS, "--labels NAME0,NAME1,NAME2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(rows, classes, message):
    with pytest.raises(ValueError, match=message):
        class_ids(rows, "y", classes)
