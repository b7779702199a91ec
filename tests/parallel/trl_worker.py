"""Trains and evaluates each of trl's Trainers and writes what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from accelerate import PartialState

from tests.trainer.test_trl import ROWS, TASKS, trainer_of


def main(folder: Path) -> None:
    processes = PartialState(cpu=True).num_processes
    found = {}
    for task in TASKS:
        options = {"per_device_train_batch_size": ROWS // processes, "per_device_eval_batch_size": 4 // processes}
        trainer = trainer_of(task, folder / task, max_steps=3, meta_gradient="exact", **options)
        trainer.train()
        metrics = {k: v for k, v in trainer.evaluate().items() if k.startswith(("eval_a_", "eval_b_"))}
        if task == "SFT":  # transformers' mean over batches of means over tokens: of other batches, another number.
            metrics = {k: v for k, v in metrics.items() if not k.endswith("_loss")}
        norms = {n: float(p.norm()) for n, p in trainer.accelerator.unwrap_model(trainer.model).named_parameters()}
        logged = {k: v for k, v in trainer.state.log_history[2].items() if k.startswith(("risk_", "num_tokens"))}
        found[task] = {**metrics, **norms, **logged}
    if PartialState().is_main_process:
        (folder / f"{processes}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    PartialState().destroy_process_group()
