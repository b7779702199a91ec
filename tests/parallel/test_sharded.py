"""FSDP2: the kinds that need only ordinary backward passes work on sharded parameters, and `exact` says that it does
not."""

from __future__ import annotations

import json

from .launch import launch


def test_sharded_parameters_give_the_gradient_of_the_joint_batch(tmp_path):
    launch("tests.parallel.sharded_worker", str(tmp_path / "found.json"), processes=2)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["processes"] == 2
    # Forward and central carry their own truncation error, the same on one process up to rounding divided by ε.
    assert found["first_order"] < 1e-12
    assert found["central"] < 1e-8
    assert found["forward"] < 1e-6
    for name in ("forward", "central", "first_order"):
        assert found[f"{name} objective"] < 1e-12
        assert found[f"{name} restored"]
    assert "finite_difference" in found["exact"]
