"""One run of an experiment: data, model, Trainer, and what the result is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PrinterCallback, TrainerCallback, set_seed

from ..data import TensorRows
from ..experiments.runs import Run, carry_out_run
from ..trainer import ALGORITHMS, EnvironmentTrainer
from .data import Data, load, make_model


def carry_out(
    config: Mapping[str, Any],
    folder: Path,
    *,
    source: str,
    word_vectors: str | None,
    device: str | None,
    callback: TrainerCallback | None = None,
) -> dict[str, Any]:
    """
    Carry out the run that `config` (see [`Job`]) describes and return what a line of the results says of it.

    It is kept in `folder` while it runs, and goes on there if it was interrupted.

    Raises:
        KeyboardInterrupt: it was interrupted; a checkpoint was written.
    """
    data = load(
        config["dataset"],
        config["dataset_config"],
        config["dataset_changes"],
        config["seed"],
        config["environments"],
        source,
        word_vectors,
    )

    def make_trainer(folder: Path, stack: ExitStack) -> EnvironmentTrainer:
        trainer_class, config_class = ALGORITHMS[config["algorithm"]]
        batch = len(data.train) if config["batch"] == "full" else config["batch"]
        protocol = {"lr_scheduler_type": "constant", "max_grad_norm": 0.0, "weight_decay": 0.0}
        args = config_class(
            output_dir=str(folder),
            per_device_train_batch_size=batch,
            per_device_eval_batch_size=10_000,
            max_steps=config["steps"],
            logging_steps=50,
            save_steps=100,
            save_total_limit=1,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            use_cpu=device == "cpu",
            seed=config["seed"],
            **{**protocol, **config["fields"]},
        )
        set_seed(config["seed"])
        model = make_model(data, config["hidden_size"])
        trainer = trainer_class(model, args, train_dataset=data.train, eval_dataset=data.test)
        trainer.remove_callback(PrinterCallback)
        if callback is not None:
            trainer.add_callback(callback)
        return trainer

    run = Run(config["row"], config["seed"], dict(config), make_trainer, lambda trainer: _measure(trainer, data))
    result = carry_out_run(run, folder)
    return {**result, "warnings": _warnings(result, data.num_labels)}


def _measure(trainer: EnvironmentTrainer, data: Data) -> dict[str, Any]:
    return {
        "source": data.source,
        "test": by_environment(trainer, data.test),
        "validation": by_environment(trainer, data.validation),
    }


def by_environment(trainer: EnvironmentTrainer, rows: TensorRows) -> dict[str, dict[str, float]]:
    """
    In each environment: `accuracy`; `risk`, the mean cross-entropy in nats; `calibration_error`, the expected
    calibration error over fifteen equal bins of confidence (Guo et al. 2017, arXiv 1706.04599); and `rows`.
    """
    logits = np.asarray(trainer.predict(rows).predictions, dtype=np.float64)
    labels = rows["labels"].numpy()
    names = np.array(rows["environment"])
    return {str(name): statistics(logits[names == name], labels[names == name]) for name in np.unique(names)}


def statistics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The figures of one environment: see [`by_environment`]. `logits` (n, k), `labels` (n,)."""
    shifted = logits - logits.max(1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    right = logits.argmax(1) == labels
    confidence = np.exp(log_probabilities.max(1))
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [abs((confidence - right)[bins == k].sum()) for k in range(15)]
    return {
        "accuracy": float(right.mean()),
        "risk": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "calibration_error": float(sum(gaps) / len(labels)),
        "rows": len(labels),
    }


def _warnings(result: Mapping[str, Any], classes: int) -> list[str]:
    """What is wrong with a run, in words; the unseen environment is not looked at."""
    found = {name: figures["accuracy"] for name, figures in result["validation"].items()}
    chance = 1 / classes
    text = ", ".join(f"{name}: {100 * value:.0f} %" for name, value in found.items())
    if max(found.values()) < 0.8 * chance:
        return [f"mirrored solution: worse than guessing in the training environments ({text}); a smaller α helps"]
    if max(found.values()) < 1.1 * chance:
        return [f"no better than guessing in the training environments ({text})"]
    return []
