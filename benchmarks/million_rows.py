"""
A million rows of text in a thousand sites: `hf-metairm inspect`, and `hf-metairm train` until its first step is done.

    python benchmarks/million_rows.py

makes the file (128 MB; 25 words a row, and a final mark that agrees with the label in 60 to 90 % of rows, by site) and
a tiny encoder in a temporary folder, runs each command three times in a process of its own, and writes seconds and
peak memory (resident set) of each run to `docs/benchmarks/million_rows.json`. All of the encoder is trained, with
eight sites in a batch. Needs Linux, and the extra `demo` for the tokenizer.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, BertConfig, BertModel

from hf_metairm.models.pretrained import resolve_model
from hf_metairm.provenance import hardware, versions


ROWS, SITES, WORDS, RUNS = 1_000_000, 1_000, 25, 3
OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "million_rows.json"
# Ends the run when the first step is done: what follows does not depend on how many rows there are.
UNTIL_THE_FIRST_STEP = """
import sys
from transformers import Trainer
from hf_metairm.experiments.finetune_text import main
def stop(*args, **kwargs):
    sys.exit(0)
Trainer._maybe_log_save_evaluate = stop
main()
"""


def make_rows(file: Path) -> None:
    """Words as frequent as Zipf's law says, labels at random."""
    draws = np.random.default_rng(0)
    vocabulary = np.array([f"w{k}" for k in range(20_000)])
    frequency = 1 / np.arange(1, len(vocabulary) + 1)
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["text", "label", "site"])
        for _ in range(ROWS // 10_000):
            words = draws.choice(vocabulary, (10_000, WORDS), p=frequency / frequency.sum())
            label, site = draws.integers(2, size=10_000), draws.integers(SITES, size=10_000)
            agrees = draws.random(10_000) < 0.6 + 0.3 * site / SITES
            marks = np.where(agrees == label.astype(bool), "!", ".")
            table.writerows([f"{' '.join(w)} {m}", y, f"site {e}"] for w, m, y, e in zip(words, marks, label, site))


def make_encoder(folder: Path) -> None:
    """Two layers of 16 units, with MiniLM's tokenizer."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    BertModel(BertConfig(vocab_size=30522, **sizes)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve_model("minilm")).save_pretrained(folder)


def measured(command: list[str], folder: Path) -> dict[str, float]:
    """Seconds and MiB of a process; it must end well."""
    start = time.perf_counter()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "output.txt").read_text()[-2000:])
    return {"seconds": round(time.perf_counter() - start, 1), "MiB": round(used.ru_maxrss / 1024)}


def main() -> None:
    """Make, measure, write."""
    found: dict = {"rows": ROWS, "sites": SITES, "hardware": hardware(), "versions": versions(), "runs": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_rows(folder / "rows.csv")
        make_encoder(folder / "encoder")
        inspect = ["-c", "from hf_metairm.cli import main; main()", "inspect", "rows.csv"]
        train = ["-c", UNTIL_THE_FIRST_STEP, "--dataset", "rows.csv", "--text_column", "text"]
        train += ["--model_name_or_path", "encoder", "--environments_per_batch", "8", "--use_cpu", "true"]
        train += ["--algorithms", "meta-irm", "--report_to", "none", "--logging_steps", "1"]
        for number in range(RUNS):
            for what, words in (("inspect", inspect), ("train, first step", [*train, "--output_dir", f"out{number}"])):
                run = measured([sys.executable, *words, "--environment_column", "site"], folder)
                found["runs"].append({"command": what, **run})
                print(found["runs"][-1], flush=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
