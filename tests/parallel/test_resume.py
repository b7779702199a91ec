"""A run on two processes that is interrupted and resumed is the run that was left alone, bit for bit."""

from __future__ import annotations

import json

from .launch import launch


MOMENTS = 10


def test_resumed_at_ten_moments(tmp_path):
    launch("tests.parallel.resume_worker", str(tmp_path), str(MOMENTS), processes=2)
    found = json.loads((tmp_path / "equal.json").read_text())
    assert found["processes"] == 2
    assert len(found["equal"]) == MOMENTS
    assert all(found["equal"].values()), found
