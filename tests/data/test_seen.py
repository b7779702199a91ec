"""Digests of texts: a sample that says of other texts whether they are among them."""

from __future__ import annotations

import pytest
from huggingface_hub.utils import filter_repo_objects

from hf_metairm.cards.push import NOT_PUBLISHED
from hf_metairm.data.seen import SEEN, SeenTexts


def test_few_texts_are_all_known(tmp_path):
    SeenTexts.of(["one", "two", "two"]).save(tmp_path / "seen.safetensors")
    found = SeenTexts.load(tmp_path / "seen.safetensors")
    assert found.among(["two", "three", " one "]).tolist() == [True, False, True]
    assert found.among([]).tolist() == []


def test_of_many_texts_a_fair_sample_is_kept(tmp_path):
    SeenTexts.of((f"text {k}" for k in range(20_000)), most=2_000).save(tmp_path / "seen.safetensors")
    found = SeenTexts.load(tmp_path / "seen.safetensors")
    assert len(found.digests) == 2_000
    again = found.among(f"text {k}" for k in range(5_000))
    assert again.all()
    assert len(again) == pytest.approx(500, rel=0.2)
    mixed = found.among(f"text {k}" for k in range(15_000, 35_000))  # A quarter of them.
    assert mixed.mean() == pytest.approx(0.25, abs=0.05)


def test_they_stay_on_the_machine():
    """`hf-metairm push` leaves out what this list names, and a Trainer's `push_to_hub` what begins like this."""
    assert list(filter_repo_objects([SEEN, "model.safetensors"], ignore_patterns=NOT_PUBLISHED)) == [
        "model.safetensors"
    ]
    assert SEEN.startswith("_")
