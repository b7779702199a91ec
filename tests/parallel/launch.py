"""`accelerate launch` of a worker of these tests, as a user would type it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).parents[2]


def launch(module: str, *words: str, processes: int = 1) -> str:
    """Run a module on so many CPU processes and return what it printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes)]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    # Accelerate starts several processes on CPUs through MPI only, or as it starts them on GPUs; without a GPU they
    # find each other over gloo.
    command += ["--multi_gpu", "--main_process_port", str(port)] if processes > 1 else ["--cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--module", module, *words], capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return done.stdout
