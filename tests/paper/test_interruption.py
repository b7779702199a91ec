"""`hf-metairm reproduce`, killed and interrupted midway and started again, as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time


COMMAND = [sys.executable, "-m", "hf_metairm", "reproduce", "colored_mnist", "--algorithms", "erm", "--seeds", "1"]
COMMAND += ["--batch_size", "500", "--source", "bundled", "--jobs", "1", "--device", "cpu"]

HANGS = 600  # Seconds after which a command that takes ten is taken to hang: a busy machine is no failure.


def start(output):
    return subprocess.Popen(
        [*COMMAND, "--output", str(output)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def checkpoints(output):
    return set(output.glob("unfinished/*/checkpoint-*/trainer_state.json"))


def wait_for_another(before, output, process):
    deadline = time.monotonic() + HANGS
    while checkpoints(output) <= before:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_killed_then_interrupted_no_run_is_lost_and_none_doubled(tmp_path):
    process = start(tmp_path)
    wait_for_another(set(), tmp_path, process)
    os.kill(process.pid, signal.SIGKILL)
    # A killed parent's worker goes on for half a second, and has the pipe until then: nobody writes after this.
    process.communicate(timeout=HANGS)
    left = checkpoints(tmp_path)

    process = start(tmp_path)
    wait_for_another(left, tmp_path, process)
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 130, said
    assert "the same command goes on" in said
    started = list((tmp_path / "unfinished").glob("*/settings.json"))
    assert len(started) == 1, "no other run was begun after Ctrl-C"
    assert not (tmp_path / "colored_mnist.jsonl").exists(), "it was done before it could be stopped"

    process = start(tmp_path)
    said, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 0, said
    text = (tmp_path / "colored_mnist.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert sorted(line["settings"]["row"] for line in lines) == ["erm", "erm, grey"]
    assert any(line["resumed"] for line in lines)
    erm = next(line for line in lines if line["settings"]["row"] == "erm")
    assert erm["test"]["p=0.1"]["accuracy"] > 0.8 > 0.4 > erm["test"]["p=0.9"]["accuracy"]
    assert set(erm["test"]) == {f"p=0.{k}" for k in range(1, 10)}
    assert os.listdir(tmp_path / "unfinished") == []

    process = start(tmp_path)
    said, _ = process.communicate(timeout=HANGS)
    assert "2 are there, 0 to do" in said
    assert (tmp_path / "colored_mnist.jsonl").read_text() == text
