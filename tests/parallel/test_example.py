"""The plain Accelerate loop of `trainer_examples`, started as its first lines say."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from ..docs.pages import ROOT
from .launch import free_port, launch


def accelerate_launch(*words):
    """Two processes, as a user types it."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1"]
    # Accelerate starts several processes on CPUs through MPI only, or as it starts them on GPUs; without a GPU they
    # find each other over gloo.
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "--multi_gpu"]
    command += ["--main_process_port", str(free_port()), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return done.stdout


def test_plain_loop_trains_on_two_processes_what_it_trains_on_one():
    module = "trainer_examples.meta_gradient_loop"
    printed = {1: launch(module), 2: accelerate_launch("--module", module)}
    losses = {
        n: [[float(x) for x in re.findall(r"\d+\.\d+", line)] for line in text.splitlines() if line[:5] == "epoch"]
        for n, text in printed.items()
    }
    assert len(losses[1]) == len(losses[2]) == 2, "one line an epoch, printed once"
    for one, two in zip(losses[1], losses[2]):
        assert max(abs(a - b) for a, b in zip(one, two)) < 1e-3
    assert losses[1][1][0] < losses[1][0][0]
