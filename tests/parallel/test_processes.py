"""N processes with batch B each give the parameters that one process gives with the batch N·B."""

from __future__ import annotations

import json

import pytest
import torch

from .launch import launch
from .worker import cases


CASES = list(cases())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The results of one process and of two."""
    folders = {n: tmp_path_factory.mktemp(f"processes{n}") for n in (1, 2)}
    printed = {n: launch("tests.parallel.worker", str(folder), processes=n) for n, folder in folders.items()}
    assert {n: int((folder / "processes").read_text()) for n, folder in folders.items()} == {1: 1, 2: 2}
    return folders, printed


def parameters(folder, name):
    return torch.cat([p.flatten() for p in torch.load(folder / f"{name}.pt").values()])


def distance(a, b):
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("name", [case[0] for case in CASES])
def test_two_processes_train_what_one_trains(name, folders):
    one, two = (parameters(folder, name) for folder in folders[0].values())
    assert distance(two, one) < 1e-6
    start = parameters_at_start(name)
    assert distance(one, start) > 1e-2, "training went somewhere"


@pytest.mark.parametrize("name", sorted({c[0].replace("accumulate2", "accumulate") for c in CASES if c[3] == 2}))
def test_accumulation_gives_the_joint_batch(name, folders):
    one = folders[0][1]
    once, twice = (parameters(one, name.replace("accumulate", f"accumulate{k}")) for k in (1, 2))
    assert distance(twice, once) < 1e-6


def test_metrics_and_logs_are_those_of_all_rows_and_printed_once(folders):
    one, two = (json.loads((folder / "metrics.json").read_text()) for folder in folders[0].values())
    for name, expected in one.items():
        log, expected_log = two[name].pop("log"), expected.pop("log")
        assert two[name] == pytest.approx(expected, abs=0.03), "parameters agree to 1e-6, so hardly a row may differ"
        for entry, expected_entry in zip(log, expected_log):
            assert entry == pytest.approx(expected_entry, rel=1e-4, abs=1e-9), "an error of rounding has other digits"
    lines = {n: text.count("'loss':") for n, text in folders[1].items()}
    assert lines[1] == lines[2] == 2 * len(CASES)


def parameters_at_start(name):
    from ..trainer import tasks
    from ..trainer.toys import Classifier

    known = name.startswith(tasks.TASKS)
    model = tasks.model(name.split("-")[0]) if known else Classifier(dropout=0.0, tied=False)
    return torch.cat([p.flatten() for p in model.state_dict().values()])
