"""A search of hyper-parameters on two processes: both train every trial with the same settings, and none waits."""

from __future__ import annotations

import json

import pytest

from .launch import launch


pytest.importorskip("optuna")


def test_two_processes_search_as_one(tmp_path):
    launch("tests.parallel.search_worker", str(tmp_path), processes=2)
    first, second = (json.loads((tmp_path / f"process{k}.json").read_text()) for k in (0, 1))
    assert first["trained"] == [pytest.approx(found) for found in second["trained"]]
    assert len(first["trained"]) == 6 * 4  # None was pruned.
    assert second["best"] is None  # As in transformers: the first process alone has the result.
    assert first["best"] in [found[:-1] for found in first["trained"]]
