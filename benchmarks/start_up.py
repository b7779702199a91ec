"""
How long the commands take until they say something, beside `import torch, transformers` in the same minute.

```bash
python benchmarks/start_up.py --repeats 5 --output docs/benchmarks/start_up.jsonl
```

Each thing is a new process, and all are measured in turn, so that another load weighs on all of them alike; the
processor's seconds tell the rest. Of `train`
the time counts until it says how many rows it has read, and until it has trained the first of two models: on a file of
120 rows, with a tiny encoder that is made here.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from hf_metairm.models.pretrained import resolve_model
from hf_metairm.provenance import hardware, versions


BASE = "import torch, transformers"


def seconds_until(command: list[str], word: str | None) -> tuple[float, float]:
    """Until a line with the word, or until the end: on the clock, and of the processor."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said, found = [], word is None
    for line in process.stdout:
        said.append(line)
        if word is not None and word in line:
            found = True
            process.kill()
            break
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert found, "".join(said)
    assert process.returncode in (0, -9), "".join(said)
    return round(time.perf_counter() - began, 2), round(used.ru_utime + used.ru_stime, 2)


def commands(folder: Path) -> dict[str, tuple[list[str], str | None]]:
    """By name the command, and the word that it is waited for."""
    model, file = folder / "encoder", folder / "reviews.csv"
    small = BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
    BertForSequenceClassification(small).save_pretrained(model)
    AutoTokenizer.from_pretrained(resolve_model("minilm")).save_pretrained(model)
    with open(file, "w", newline="") as handle:
        rows = [[f"film {k}", ("good", "bad")[k % 2], ("north", "south", "east")[k % 3]] for k in range(120)]
        csv.writer(handle).writerows([["text", "label", "site"], *rows])
    script = [sys.executable, "-m", "hf_metairm"]
    train = [*script, "train", "--dataset", str(file), "--text_column", "text", "--environment_column", "site"]
    train += ["--model_name_or_path", str(model), "--use_cpu", "true", "--max_steps", "2", "--report_to", "none"]
    train += ["--output_dir"]
    return {
        BASE: ([sys.executable, "-c", BASE], None),
        "from transformers import Trainer": ([sys.executable, "-c", "from transformers import Trainer"], None),
        "hf-metairm --help": ([*script, "--help"], None),
        "hf-metairm train, rows are read": ([*train, str(folder / "a")], " rows ("),
        "hf-metairm train, first model trained": ([*train, str(folder / "b")], "[2/2]"),
    }


def main() -> None:
    """One line of JSON a repeat, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        found = commands(Path(scratch))
        for number in range(options.repeats + 1):  # The first one warms the file system's cache.
            line: dict[str, Any] = {"seconds": {}, "processor_seconds": {}}
            for name, (command, word) in found.items():
                for folder in ("a", "b"):
                    shutil.rmtree(Path(scratch, folder), ignore_errors=True)
                line["seconds"][name], line["processor_seconds"][name] = seconds_until(command, word)
            if number:
                lines.append(line)
                with options.output.open("a") as output:
                    output.write(json.dumps({**line, "hardware": hardware(), "versions": versions("peft")}) + "\n")
    print("| | seconds | of the processor | more than the first | ratio to it |\n|---|---:|---:|---:|---:|")
    base = median(line["processor_seconds"][BASE] for line in lines)
    for name in found:
        clock, value = (median(line[kind][name] for line in lines) for kind in ("seconds", "processor_seconds"))
        print(f"| {name} | {clock:.1f} | {value:.1f} | {value - base:+.1f} | {value / base:.2f} |")


if __name__ == "__main__":
    main()
