"""
Interrupts training at several moments, resumes it, and compares the parameters with those of a run left alone.

Dropout is on, two of three environments are in a step, and the run goes past the end of an epoch.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from pathlib import Path

import torch
from accelerate import PartialState

from hf_metairm import MetaIRMConfig, MetaIRMTrainer
from tests.trainer.test_meta_irm import Interrupt
from tests.trainer.toys import Classifier, numbers


STEPS = 14


def trainer(folder: Path, *callbacks) -> MetaIRMTrainer:
    """A new model and Trainer."""
    processes = PartialState().num_processes
    args = MetaIRMConfig(
        str(folder),
        per_device_train_batch_size=8 // processes,
        gradient_accumulation_steps=2,
        environments_per_batch=2,
        max_steps=STEPS,
        save_strategy="steps",
        save_steps=1,
        save_total_limit=2,
        learning_rate=1e-2,
        std_loss_weight=5.0,
        std_loss_momentum=0.9,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
    )
    data = numbers(3, rows=16)
    return MetaIRMTrainer(Classifier(tied=False), args, train_dataset=data, callbacks=list(callbacks))


def main(folder: Path, moments: int) -> None:
    """Process 0 writes for each moment whether the parameters are those of the whole run, bit for bit."""
    state = PartialState(cpu=True)
    whole = trainer(folder / "whole")
    whole.train()
    expected = [p.detach().clone() for p in whole.model.parameters()]
    found = {}
    for moment in sorted(random.Random(0).sample(range(2, STEPS), moments)):
        killed = trainer(folder / f"killed{moment}", Interrupt(moment))
        with contextlib.suppress(KeyboardInterrupt):
            killed.train()
        state.wait_for_everyone()  # As where all processes are started anew: the first may still write its checkpoint.
        torch.manual_seed(99 + state.process_index)
        resumed = trainer(folder / f"killed{moment}")
        resumed.train(resume_from_checkpoint=True)
        found[moment] = all(torch.equal(a, b) for a, b in zip(expected, resumed.model.parameters()))
        state.wait_for_everyone()
    if state.is_main_process:
        (folder / "equal.json").write_text(json.dumps({"processes": state.num_processes, "equal": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    PartialState().destroy_process_group()
