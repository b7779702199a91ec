"""Accuracy without its draws, against very many draws."""

from __future__ import annotations

import numpy as np
import pytest

from hf_metairm.data import PunctuatedSST2
from hf_metairm.experiments.expectation import BOTH, expectation_of, expected


@pytest.mark.parametrize("noise", [0.0, 0.25])
def test_it_is_what_many_draws_of_the_dataset_come_to(noise):
    def model(texts):
        """Follows the mark more often than not, and the words (here their number) else."""
        by_mark = np.array([text.endswith(".") for text in texts])
        by_words = np.array([len(text) % 3 > 0 for text in texts])
        use_mark = np.array([len(text) % 5 < 3 for text in texts])
        said = np.where(use_mark, by_mark, by_words).astype(int)
        return np.eye(2)[said]

    def built(**fields):
        builder = PunctuatedSST2("clean", source="bundled", label_noise=noise, **fields)
        builder.download_and_prepare()
        return builder

    builder = built(test_environments=BOTH)
    test = builder.as_dataset("test")
    found = expectation_of(test, builder.CUES, noise, ["p=0.1", "p=0.9"])(model(test["sentence"][:]))
    drawn = {name: [] for name in found}
    for seed in range(12):
        rows = built(test_environments=(0.1, 0.9), seed=seed).as_dataset("test")
        right = model(rows["sentence"][:]).argmax(1) == np.array(rows["label"][:])
        for name in drawn:
            drawn[name].append(right[np.array(rows["environment"][:]) == name].mean())
    for name, accuracies in drawn.items():
        assert found[name]["rows"] == 1500
        assert found[name]["accuracy"] == pytest.approx(np.mean(accuracies), abs=4 * np.std(accuracies) / np.sqrt(12))
    assert abs(found["p=0.1"]["accuracy"] - found["p=0.9"]["accuracy"]) > 0.1


def test_by_hand():
    # One sentence of clean label 1; the model says 1 with the mark of 1, and 0 with that of 0.
    logits, clean, cue = np.eye(2)[[1, 0]], np.array([1, 1]), np.array([1, 0])
    logits, clean, cue = np.repeat(logits, 2, axis=0), np.repeat(clean, 2), np.repeat(cue, 2)
    found = expected(logits, clean, cue, 0.25, [0.1, 0.9])
    # Such a model is right where the mark follows the noisy label, whatever the noise.
    assert [found[name]["accuracy"] for name in ("p=0.1", "p=0.9")] == pytest.approx([0.9, 0.1])
    assert found["p=0.1"]["standard_error"] == 0
    without = expected(np.eye(2)[[1, 1, 1, 1]], clean, None, 0.25, [0.1])
    assert without["p=0.1"]["accuracy"] == pytest.approx(0.75)


def test_rows_that_do_not_stand_there_twice_are_refused():
    logits = np.zeros((4, 2))
    with pytest.raises(ValueError, match="twice, in the same order"):
        expected(logits, np.array([0, 1, 1, 0]), np.array([0, 1, 1, 0]), 0.0, [0.1])
    with pytest.raises(ValueError, match="once with either cue"):
        expected(logits, np.array([0, 1, 0, 1]), np.array([0, 1, 0, 1]), 0.0, [0.1])
    with pytest.raises(ValueError, match="twice"):
        expected(np.zeros((3, 2)), np.array([0, 1, 1]), None, 0.0, [0.1])
