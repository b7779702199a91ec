"""Workers of these tests on several CPU processes."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from accelerate.state import AcceleratorState, GradientState

from ..faults import forked


HANGS = 600  # Seconds after which workers that take a few are taken to hang.


def launch(module: str, *words: str, processes: int = 1) -> str:
    """
    Run a module on so many CPU processes and return what they printed.

    They are told of each other as those that `accelerate launch` starts. But they are forks of this process, since to
    import torch and transformers takes longer than what most of them do.
    """
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(processes)}
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / str(rank) for rank in range(processes)]
        running = set()
        for rank, log in enumerate(logs):
            told = {**address, "LOCAL_WORLD_SIZE": str(processes), "RANK": str(rank), "LOCAL_RANK": str(rank)}
            running.add(forked(lambda told=told: _run(module, words, told if processes > 1 else {}), log))
        failed, deadline = False, time.monotonic() + HANGS
        while running:
            time.sleep(0.02)
            for child in list(running):
                ended, code = os.waitpid(child, os.WNOHANG)
                if ended:
                    running.remove(child)
                    failed |= code != 0
            if failed or time.monotonic() > deadline:
                for child in running:
                    os.kill(child, signal.SIGKILL)
        printed = [log.read_text() for log in logs]
    assert not failed, "\n".join(text[-5000:] for text in printed)
    return "".join(printed)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _run(module: str, words: tuple[str, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    AcceleratorState._reset_state(reset_partial_state=True)  # What this process found before, being alone.
    GradientState._reset_state()
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)
