"""What is looked at before training starts, each refusal one sentence that names the mend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from ..environments import Environments, column_names


if TYPE_CHECKING:
    from .base import EnvironmentTrainer


def check_setting(trainer: EnvironmentTrainer) -> None:
    """Settings of the Trainer and the launcher under which balanced batches would not stay what they are."""
    args = trainer.args
    if args.n_gpu > 1:
        raise ValueError(
            f"{args.n_gpu} GPUs are visible to one process, and DataParallel would split each environment's rows "
            "among them: start one process per GPU with `accelerate launch`, or show one with CUDA_VISIBLE_DEVICES=0."
        )
    if getattr(args.accelerator_config, "split_batches", False):
        raise ValueError(
            "split_batches=True would cut a batch between environments: leave it False; every process then gets whole "
            "balanced batches of per_device_train_batch_size rows."
        )
    if args.train_sampling_strategy != "random":
        raise ValueError(
            f"train_sampling_strategy={args.train_sampling_strategy!r} contradicts environment-balanced batches: "
            'leave it at "random".'
        )
    if trainer.is_deepspeed_enabled:
        raise ValueError(
            "DeepSpeed runs the backward pass itself, where several are needed for one gradient: use DDP or FSDP2."
        )


def check_environments(environments: Environments, column: str) -> None:
    """At least two environments to train on."""
    if len(environments.names) < 2:
        only = environments.names[0] if environments.names else "none"
        raise ValueError(
            f"The column {column!r} names a single environment ({only}): with nothing that varies there is nothing to "
            "be invariant to. Give data from at least two, or name another column with environment_column=."
        )


def check_labels(dataset: Any, model: Any) -> None:
    """Class ids within what the model's head can tell apart."""
    config = getattr(model, "config", None)
    classes = getattr(config, "num_labels", None)
    problem = getattr(config, "problem_type", None)
    column = next((c for c in ("labels", "label", "label_ids") if c in column_names(dataset)), None)
    if column is None:
        raise ValueError(
            f"The training dataset has no column labels or label (its columns: {', '.join(column_names(dataset))}): "
            "rename yours with dataset.rename_column."
        )
    if not classes or classes < 2 or problem in ("regression", "multi_label_classification"):
        return
    values = _as_array(dataset, column)
    if values is None or values.ndim != 1 or not np.issubdtype(values.dtype, np.integer) or not len(values):
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"The column {column!r} holds {low if low < 0 else high}, but the model tells {classes} classes apart "
            f"(0 to {classes - 1}): renumber the labels or load the model with num_labels={high + 1}."
        )


def check_loss(trainer: EnvironmentTrainer) -> None:
    """A trial forward pass on two rows: the model must return a scalar loss for them."""
    model, dataset = cast(torch.nn.Module, trainer.model), cast(Any, trainer.train_dataset)
    was_training = model.training
    try:
        model.eval()
        with torch.random.fork_rng(), torch.no_grad():
            loader = trainer.probe_dataloader(torch.utils.data.Subset(dataset, [0, 1]), dataset)
            batch = trainer.prepare_rows(next(iter(loader)))[0]
            loss = trainer.compute_loss(model, dict(batch))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if "loss" not in str(error):
            raise
        loss = None
    finally:
        model.train(was_training)
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise ValueError(
            f"{type(model).__name__} returned no loss for a batch with {', '.join(sorted(batch))}: give it a labels "
            "column that its forward takes, or give the Trainer a compute_loss_func."
        )


def _as_array(dataset: Any, column: str) -> np.ndarray | None:
    if hasattr(dataset, "select_columns"):
        return dataset.select_columns([column]).with_format("numpy")[:][column]
    if hasattr(dataset, "column_names"):
        values = dataset[column]
        return values.numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return np.asarray([dataset[k][column] for k in range(len(dataset))])
