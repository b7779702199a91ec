"""
Kill a training run at random moments, start it again, and compare its end with that of a run that was left alone.

```bash
python benchmarks/kills.py --kills 100 --output docs/benchmarks/kills.jsonl
python benchmarks/kills.py --kills 20 --processes 2 --output docs/benchmarks/kills.jsonl
```

What runs is `hf-metairm train` with its recipe for Colored MNIST, on the bundled digits: meta-IRM, whose algorithm has
a state of its own, with a checkpoint every four of 24 steps. All processes get SIGKILL at a moment drawn evenly from
twice the time that a whole run takes, until a start comes to its end before that: then the model's parameters, bit for
bit, and the result are compared, and the next run begins. A start that ends in any other way than by the kill is
counted as refused.

Children are forks of this process, which has imported everything: what is killed is the work, not the imports.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from hf_metairm.experiments.train_colored_mnist import main as recipe
from hf_metairm.provenance import hardware, versions


WORDS = [
    "--hidden_size",
    "24",
    "--source",
    "bundled",
    "--max_steps",
    "24",
    "--save_steps",
    "4",
    "--save_total_limit",
    "2",
]
WORDS += ["--use_cpu", "true", "--disable_tqdm", "true", "--report_to", "none", "--logging_steps", "4"]
WORDS += ["--std_loss_momentum", "0.9", "--algorithms", "meta-irm"]
ROWS = 1000


def start(folder: Path, processes: int) -> list[int]:
    """The process ids of a new start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                sink = os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(sink, 1)
                os.dup2(sink, 2)
                if processes > 1:
                    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes))
                    os.environ.update(LOCAL_WORLD_SIZE=str(processes), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
                rows = ["--per_device_train_batch_size", str(ROWS // processes)]
                recipe([*WORDS, *rows, "--output_dir", str(folder)])
                status = 0
            except SystemExit as left:
                status = int(left.code or 0)
            finally:
                os._exit(status)
        children.append(child)
    return children


def ended(children: list[int], moment: float | None) -> list[int]:
    """How the processes of a start ended, those that are there at a moment by SIGKILL."""
    left, codes, began = list(children), [], time.monotonic()
    while left:
        for child in list(left):
            pid, code = os.waitpid(child, os.WNOHANG)
            if pid:
                left.remove(child)
                codes.append(os.waitstatus_to_exitcode(code))
        if left and (any(codes) or (moment is not None and time.monotonic() - began > moment)):
            for child in left:  # One that is gone takes the others with it, as a launcher does.
                os.kill(child, signal.SIGKILL)
            moment = None if moment is None else float("inf")
        time.sleep(0.002)
    return codes


def end_of(folder: Path) -> str:
    """A digest of the parameters of all models, bit for bit, and of the results without their times."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*-seed*/model.safetensors")):
        for name, value in sorted(load_file(file).items()):
            digest.update(name.encode() + value.numpy().tobytes())
    for result in map(json.loads, (folder / "runs.jsonl").read_text().splitlines()):
        digest.update(json.dumps([result["test"], result["steps"]], sort_keys=True).encode())
    return digest.hexdigest()


def main() -> None:
    """Kill so often, one line of JSON a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator, kills, refused, different = random.Random(options.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch, "whole")
        for _ in range(2):  # The first one builds the dataset's cache.
            shutil.rmtree(whole, ignore_errors=True)
            began = time.monotonic()
            assert ended(start(whole, options.processes), None) == [0] * options.processes, Path(
                f"{whole}.log"
            ).read_text()
            seconds = time.monotonic() - began
        expected, number = end_of(whole), 0
        while kills < options.kills:
            folder, moments = Path(scratch, f"run{number}"), []
            while True:
                moment = generator.uniform(0, 2 * seconds) if kills < options.kills else None
                codes = ended(start(folder, options.processes), moment)
                if all(code == 0 for code in codes):
                    break
                if any(code not in (0, -signal.SIGKILL) for code in codes):
                    refused += 1
                    print(Path(f"{folder}.log").read_text()[-2000:], file=sys.stderr)
                    break
                kills += 1
                moments.append(round(moment or 0, 3))
            equal = all(code == 0 for code in codes) and end_of(folder) == expected
            different += not equal
            line = {"processes": options.processes, "run": number, "seconds_of_a_whole_run": round(seconds, 2)}
            line |= {"killed_after": moments, "equal": equal, "hardware": hardware(), "versions": versions()}
            with options.output.open("a") as output:
                output.write(json.dumps(line) + "\n")
            number += 1
    print(f"{kills} kills in {number} runs, {options.processes} processes: {different} differ, {refused} refused.")
    sys.exit(bool(different or refused))


if __name__ == "__main__":
    main()
