"""
Ten million short texts of a thousand sites, memory-mapped: how long a Trainer takes until its first step is done.

    python benchmarks/ten_million_rows.py [FOLDER]

writes them as an Arrow file of 0.8 GB (12 words a row; labels and sites at random), and a tiny encoder, into a
temporary folder, or into the one named, where they stay and are used again. Twice two processes of their own train on
them until the first step is done: one on the rows as they stand, one on a selection of them in random order, as
`shuffle` and `train_test_split` give. Seconds since the process started, seconds of CPU and memory after each part go
to `docs/benchmarks/ten_million_rows.json`. `MiB` is the peak of the resident set, which counts the pages of the file
that are mapped at that time; `own_MiB` is memory that is in no file. All of the encoder is trained, with eight sites
in a batch. Needs Linux, and the extra `demo` for the tokenizer.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


ROWS, SITES, WORDS, AT_ONCE, ROUNDS = 10_000_000, 1_000, 12, 200_000, 2
OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "ten_million_rows.json"


def write_rows(file: Path) -> None:
    """Words as frequent as Zipf's law says, labels and sites at random."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from datasets.arrow_writer import ArrowWriter

    draws = np.random.default_rng(0)
    vocabulary = pa.array([f"w{k}" for k in range(20_000)])
    below = np.cumsum(1 / np.arange(1, len(vocabulary) + 1))
    sites = pa.array([f"site {k}" for k in range(SITES)])
    with ArrowWriter(path=str(file)) as out:
        for _ in range(ROWS // AT_ONCE):
            drawn = np.searchsorted(below, draws.random((WORDS, AT_ONCE), np.float32) * below[-1])
            words = [vocabulary.take(pa.array(row)) for row in np.minimum(drawn, len(vocabulary) - 1)]
            table = {
                "sentence": pc.binary_join_element_wise(*words, " "),
                "label": pa.array(draws.integers(2, size=AT_ONCE)),
                "environment": sites.take(pa.array(draws.integers(SITES, size=AT_ONCE))),
            }
            for batch in pa.table(table).to_batches(1_000):
                out.write_table(pa.Table.from_batches([batch]))
        out.finalize()


def train(folder: Path, shuffled: bool) -> None:
    """In a process of its own: print the measurements, and end when the first step is done."""
    found = []

    def note(part: str) -> None:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        started = float(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        found.append(
            {
                "after": part,
                "seconds": round(time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"), 1),
                "cpu_seconds": round(time.process_time(), 1),
                "MiB": int(status["VmHWM"].split()[0]) // 1024,
                "own_MiB": int(status["RssAnon"].split()[0]) // 1024,
            }
        )

    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer

    from hf_metairm import MetaIRMConfig, MetaIRMTrainer
    from hf_metairm.experiments.tokens import Tokenize

    note("imports")
    tokenizer = AutoTokenizer.from_pretrained(folder / "encoder")
    rows = Dataset.from_file(str(folder / "rows.arrow"))
    if shuffled:
        rows = rows.select(np.random.default_rng(0).permutation(len(rows)), keep_in_memory=True)
    note("rows opened")
    args = MetaIRMConfig(
        str(folder / "output"),
        per_device_train_batch_size=128,
        environments_per_batch=8,
        remove_unused_columns=False,
        use_cpu=True,
        report_to="none",
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder / "encoder")
    trainer = MetaIRMTrainer(
        model,
        args,
        train_dataset=rows.with_transform(Tokenize(tokenizer)),
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    note("Trainer made")

    def stop(*args: object, **kwargs: object) -> None:
        note("first step")
        (folder / "found.json").write_text(json.dumps(found))
        sys.exit(0)

    Trainer._maybe_log_save_evaluate = stop
    trainer.train()


def main() -> None:
    """Make, measure, write."""
    from million_rows import make_encoder, measured

    from hf_metairm.provenance import hardware, versions

    found: dict = {"rows": ROWS, "sites": SITES, "hardware": hardware(), "versions": versions(), "runs": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) if len(sys.argv) < 2 else Path(sys.argv[1]).resolve()
        if not (folder / "encoder").exists():
            write_rows(folder / "rows.arrow")
            make_encoder(folder / "encoder")
        found["file_MiB"] = (folder / "rows.arrow").stat().st_size // 2**20
        for order in ("as stored", "shuffled") * ROUNDS:
            whole = measured([sys.executable, str(Path(__file__).resolve()), str(folder), order], folder)
            parts = json.loads((folder / "found.json").read_text())
            found["runs"].append({"rows": order, **whole, "parts": parts})
            print(found["runs"][-1], flush=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        train(Path(sys.argv[1]), sys.argv[2] == "shuffled")
    else:
        main()
