"""Two processes train and evaluate through trl what one process does."""

from __future__ import annotations

import json

import pytest

from .launch import launch


pytest.importorskip("trl")


def test_two_processes_give_what_one_gives(tmp_path):
    for processes in (1, 2):
        launch("tests.parallel.trl_worker", str(tmp_path), processes=processes)
    one, two = (json.loads((tmp_path / f"{n}.json").read_text()) for n in (1, 2))
    assert one.keys() == two.keys() == {"SFT", "Reward", "DPO"}
    for task, values in one.items():
        assert two[task] == pytest.approx(values, rel=1e-5, abs=1e-8), task
