"""The one engine for runs: the store, resume, workers that die, and what is said at the end."""

from __future__ import annotations

import json
import os
import signal

import pytest

from hf_metairm.experiments.engine import RunsFailedError, carry_out
from hf_metairm.experiments.run import Run
from hf_metairm.experiments.store import Store


def run(number, **settings):
    return Run(f"run {number}", {"seed": 0, "number": number, **settings})


def result_of(run):
    test = {"a": {"accuracy": 0.5, "rows": 10}}
    return {"name": run.name, "seed": 0, "settings": run.settings, "test": test, "train_seconds": 1.0}


def work(run, folder, tell):
    """What the settings say: to die, to fail, or to count how often the run was carried out."""
    folder.mkdir(parents=True, exist_ok=True)
    tell(10)
    if run.settings.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if run.settings.get("fail"):
        raise RuntimeError("the loss is\nno number")
    with open(folder.parent.parent / "carried_out", "a") as file:
        file.write(f"{run.name}\n")
    return result_of(run)


def carried_out(folder):
    return sorted((folder / "carried_out").read_text().splitlines())


def test_a_run_is_its_settings_and_no_secret_is_among_them():
    one = Run("one", {"seed": 0, "fields": {"rate": 0.1, "hub_token": "hf_secret"}, "hub_token": "hf_secret"})
    assert one == Run("two", {"fields": {"rate": 0.1}, "seed": 0})
    assert one != Run("one", {"fields": {"rate": 0.2}, "seed": 0})
    assert len({one, Run("two", {"fields": {"rate": 0.1}, "seed": 0})}) == 1
    assert "hf_secret" not in json.dumps(one.settings)


def test_what_fails_is_named_last_and_done_again_and_the_others_go_on(tmp_path):
    said = []
    runs = [run(0), run(1, fail=True), run(2), run(2)]
    outcome = carry_out(runs, Store(tmp_path), work, say=said.append)
    assert [result["name"] for result in outcome.results] == ["run 0", "run 2"]
    assert said[0].startswith("3 runs: 0 are there, 3 to do")
    assert "FAILED run 1, seed 0: RuntimeError: the loss is no number" in said
    with pytest.raises(RunsFailedError, match=r"1 of 3 runs failed.* run 1, seed 0: RuntimeError: the loss is no num"):
        outcome.check()
    carry_out(runs, Store(tmp_path), work, say=said.append)
    assert carried_out(tmp_path) == ["run 0", "run 2"], "what is there is kept"
    assert any("2 are there, 1 to do" in line for line in said)


def test_a_worker_that_is_killed_or_fails_takes_no_other_run_with_it(tmp_path):
    said = []
    runs = [run(0, die=True), run(1, fail=True), *map(run, range(2, 6)), run(2), run(6, die=True)]
    outcome = carry_out(runs, Store(tmp_path), work, workers=2, say=said.append)
    assert said[0].startswith("7 runs: 0 are there, 7 to do, 2 at a time")
    assert [result["name"] for result in outcome.results] == [f"run {k}" for k in range(2, 6)]
    assert list(outcome.failed) == [runs[0], runs[1], runs[7]]
    assert "killed by SIGKILL, as the system does when memory runs out" in outcome.failed[runs[0]]
    assert "FAILED run 1, seed 0: RuntimeError: the loss is no number" in said
    assert Store(tmp_path).of(runs).keys() == set(runs[2:6])
    carry_out(runs[1:7], Store(tmp_path), work, workers=2, say=said.append)
    assert carried_out(tmp_path) == [f"run {k}" for k in range(2, 6)], "what is there is kept"
    assert any("4 are there, 1 to do" in line for line in said)


def test_what_whoever_gave_the_command_can_mend_ends_it_at_once(tmp_path):
    def refuse(run, folder, tell):
        raise ValueError("no such column")

    with pytest.raises(ValueError, match="no such column"):
        carry_out([run(0), run(1)], Store(tmp_path), refuse)


def test_the_folder_is_one_commands_at_a_time(tmp_path):
    with Store(tmp_path).locked(), pytest.raises(OSError, match="Another process is carrying out runs"):
        carry_out([run(0)], Store(tmp_path), work)


def test_a_broken_line_is_named_and_put_aside_and_its_run_done_again(tmp_path):
    store, runs = Store(tmp_path), [run(0), run(1)]
    for one in runs:
        store.write(one, result_of(one))
    file = tmp_path / "runs.jsonl"
    first, second = file.read_bytes().splitlines()
    for broken in (b'{"settings": {"num', b"\xff\x00", b"[]", b"{}"):
        file.write_bytes(broken + b"\n" + second + b"\n" + first[:30])
        with pytest.warns(UserWarning, match=r"Line [13] of .*runs\.jsonl cannot be read"):
            assert store.of(runs).keys() == {runs[1]}
        with pytest.warns(UserWarning, match="cannot be read"):
            store.write(runs[0], result_of(runs[0]))
        assert file.read_bytes().splitlines() == [second, first]
        assert broken in (tmp_path / "runs.jsonl.broken").read_bytes().splitlines()


def test_a_kill_while_a_result_is_written_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write(run(0), result_of(run(0)))
    before = (tmp_path / "runs.jsonl").read_bytes()

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.write(run(1), result_of(run(1)))
    assert (tmp_path / "runs.jsonl").read_bytes() == before


def test_lines_of_version_0_1_are_read(tmp_path):
    settings = {"table": "k5", "row": "erm", "seed": 2}
    (tmp_path / "k5.jsonl").write_text(json.dumps({"config": settings, "test": {}}) + "\n")
    (found,) = Store(tmp_path).results("k5")
    assert found == {"name": "erm", "seed": 2, "settings": settings, "test": {}}
    assert Store(tmp_path).of([Run("erm", settings, "k5")])


def test_settings_that_cannot_be_read_are_named_and_their_folder_left_alone(tmp_path):
    store, one = Store(tmp_path), Run("erm", {"seed": 0})
    place = store.place(one, named=True)
    place.mkdir()
    (place / "settings.json").write_text('{"seed": ')
    with pytest.warns(
        UserWarning, match=r"erm-seed0.settings\.json cannot be read: what is in its folder is not gone on"
    ):
        assert store.place(one, named=True) == tmp_path / "erm-seed0-2"
