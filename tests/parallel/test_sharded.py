"""FSDP2: the kinds that need only ordinary backward passes work on sharded parameters, and `exact` says that it does
not."""

from __future__ import annotations

import json

import torch

from ..gradients.models import small_bert
from ..gradients.reference import relative_error
from .launch import launch


def test_sharded_parameters_give_the_gradient_of_the_joint_batch(tmp_path):
    launch("tests.parallel.sharded_worker", str(tmp_path / "found.json"), processes=2)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["processes"] == 2
    # Forward and central carry their own truncation error, the same on one process up to rounding divided by ε.
    assert found["first_order"] < 1e-12
    for name in ("crossed", "crossed with DDP", "surveyed", "surveyed with DDP"):
        assert found[name] < 1e-12, name
    # Exact is the measure on one process, the central difference where the parameters are sharded.
    one, two = found["crossed error"]
    assert abs(one - two) < 1e-2 * one
    assert found["central"] < 1e-8
    assert found["forward"] < 1e-6
    assert found["forward in parts"] < 1e-6
    assert found["crossed in parts"] < 1e-12
    for name in ("forward", "central", "crossed", "surveyed", "first_order"):
        assert found[f"{name} objective"] < 1e-12
        assert found[f"{name} restored"]
    assert "finite_difference" in found["exact"]


def test_trainer_under_accelerates_fsdp2_trains_what_one_process_trains(tmp_path):
    folders = [tmp_path / str(processes) for processes in (1, 2)]
    for folder in folders:
        folder.mkdir()
        launch("tests.parallel.sharded_trainer_worker", str(folder), processes=int(folder.name))
    start = small_bert().double().state_dict()
    bounds = {"forward": 1e-5, "central": 1e-7, "crossed": 1e-11, "first_order": 1e-12, "erm": 1e-12}
    for name, bound in {**bounds, "irmv2": 1e-10, "iga": 1e-6, "fish": 1e-12}.items():
        one, two = (torch.load(folder / f"{name}.pt") for folder in folders)
        assert one.keys() == two.keys() == start.keys()
        way, expected = ([state[k] - start[k] for k in start] for state in (two, one))
        assert relative_error(way, expected) < bound, name


def test_a_sharded_run_that_is_interrupted_and_resumed_is_the_run_left_alone(tmp_path):
    launch("tests.parallel.sharded_resume_worker", str(tmp_path), processes=2)
    found = json.loads((tmp_path / "equal.json").read_text())
    assert found == {"FULL_STATE_DICT": True, "SHARDED_STATE_DICT": True}
