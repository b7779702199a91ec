"""Train one algorithm after another on the same data and budget, each run kept and continued where it stopped."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers.trainer_utils import get_last_checkpoint

from ..environments import read_environments
from ..provenance import hardware, versions
from ..trainer import EnvironmentTrainer
from .interrupt import CheckpointOnInterrupt


RESULT_NAME = "result.json"


@dataclass
class Run:
    """
    One training run.

    Args:
        name (`str`): the row of the table that it belongs to, such as `"meta-irm"`.
        seed (`int`): of the data's draws, the head's initial weights and the order of the rows.
        settings (`dict`): everything the result depends on; a kept result with other settings is not reused.
        make_trainer (`Callable[[Path, ExitStack], EnvironmentTrainer]`): given the folder of the run, its Trainer
            with data and model; what must be undone after the run goes on the stack. The Trainer's `eval_dataset`,
            with an environment column, is what the result is measured on.
        measure (`Callable[[EnvironmentTrainer], dict]`, *optional*): after training, what the result says of the
            model; accuracy by environment by default.
        card (`bool`, *optional*, defaults to `False`): whether to write the model's card, too.
    """

    name: str
    seed: int
    settings: dict[str, Any]
    make_trainer: Callable[[Path, ExitStack], EnvironmentTrainer]
    measure: Callable[[EnvironmentTrainer], dict[str, Any]] | None = None
    card: bool = False


def carry_out(runs: Sequence[Run], output_dir: Path, overwrite: bool = False) -> list[dict[str, Any]]:
    """
    Carry out runs in turn, each in a folder of its own under `output_dir`, and return their results.

    A run whose result is there is not repeated, one that was interrupted goes on from its last checkpoint.

    Raises:
        KeyboardInterrupt: training was interrupted; a checkpoint was written.
    """
    results = []
    for number, run in enumerate(runs, 1):
        folder = output_dir / f"{run.name}-seed{run.seed}"
        kept = "" if overwrite or _kept_result(folder, run.settings) is None else f": kept from {folder}"
        _say(f"[{number}/{len(runs)}] {run.name}, seed {run.seed}{kept}")
        results.append(carry_out_run(run, folder, overwrite))
    return results


def carry_out_run(run: Run, folder: Path, overwrite: bool = False) -> dict[str, Any]:
    """Carry out one run in `folder`, or return the result that is there."""
    kept = _kept_result(folder, run.settings)
    if kept is not None and not overwrite:
        return kept
    with ExitStack() as stack:
        return _carry_out(run, run.make_trainer(folder, stack), folder, overwrite)


def _carry_out(run: Run, trainer: EnvironmentTrainer, folder: Path, overwrite: bool) -> dict[str, Any]:
    stop = CheckpointOnInterrupt()
    settings_file = folder / "settings.json"
    settings = json.dumps(run.settings, indent=1, sort_keys=True, default=str)
    checkpoint = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    if checkpoint and (overwrite or not settings_file.is_file() or settings_file.read_text() != settings):
        # Checkpoints of other settings are no place to go on from.
        if trainer.is_world_process_zero():
            for old in folder.glob("checkpoint-*"):
                shutil.rmtree(old)
        checkpoint = None
    if trainer.is_world_process_zero():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT_NAME).unlink(missing_ok=True)
        settings_file.write_text(settings)
    trainer.add_callback(stop)
    trainer.accelerator.wait_for_everyone()
    start = time.perf_counter()
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        stop.release()
    if stop.interrupted:
        raise KeyboardInterrupt
    seconds = time.perf_counter() - start
    result = {
        "name": run.name,
        "algorithm": trainer.algorithm.title,
        "seed": run.seed,
        **(run.measure or _accuracy_by_environment)(trainer),
        "train_seconds": round(seconds, 2),
        "steps": trainer.state.global_step,
        "resumed": checkpoint is not None,
        "settings": json.loads(settings),
        "versions": versions(),
        "hardware": hardware(),
        "history": [h for h in trainer.state.log_history if "loss" in h],
    }
    trainer.save_model(str(folder))
    if run.card:
        trainer.create_model_card()  # After the weights: adapters are saved with a card that is not ours.
    if trainer.is_world_process_zero():
        (folder / RESULT_NAME).write_text(json.dumps(result, indent=1))
        for old in folder.glob("checkpoint-*"):
            shutil.rmtree(old)
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.free_memory()
    return result


def _accuracy_by_environment(trainer: EnvironmentTrainer) -> dict[str, Any]:
    metrics = trainer.evaluate(metric_key_prefix="test")
    rows = read_environments(trainer.eval_dataset, trainer.args.environment_column).sizes
    return {"accuracy": {name: metrics[f"test_{name}_accuracy"] for name in rows}, "rows": rows}


def _kept_result(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    file = folder / RESULT_NAME
    if not file.is_file():
        return None
    result = json.loads(file.read_text())
    return result if result["settings"] == json.loads(json.dumps(settings, default=str)) else None


def _say(line: str) -> None:
    if PartialState().is_main_process:
        print(line, flush=True)
