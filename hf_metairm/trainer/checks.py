"""What is looked at before training starts, each refusal one sentence that says how to mend it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from transformers.utils import logging

from ..environments import Environments, column_names, stored_column


logger = logging.get_logger(__name__)


def check_setting(trainer: Any) -> None:
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
    if args.train_sampling_strategy not in ("random", "group_by_length"):
        raise ValueError(
            f"train_sampling_strategy={args.train_sampling_strategy!r} contradicts environment-balanced batches: "
            'leave it at "random", or use "group_by_length".'
        )
    if trainer.is_deepspeed_enabled:
        raise ValueError(
            "DeepSpeed runs the backward pass itself, where several are needed for one gradient: use DDP or FSDP2."
        )


def check_data(trainer: Any) -> None:
    """The training data, when the Trainer is made."""
    environments = trainer.environments
    check_environments(environments, trainer.args.environment_column)
    check_labels(trainer.train_dataset, trainer.model, trainer.label_names)
    trainer.algorithm.check(trainer.model, trainer.make_sampler().share)


def check_before_training(trainer: Any) -> None:
    """Everything again as it is when training starts: data, model, one batch of every environment in a block."""
    check_data(trainer)
    check_batch_norm(trainer.model, trainer.args.freeze_batch_norm)
    if not trainer.is_fsdp_enabled:
        check_loss(trainer)
        check_best_metric(trainer)


def check_environments(environments: Environments, column: str) -> None:
    """At least two environments to train on."""
    if len(environments.names) < 2:
        only = environments.names[0] if environments.names else "none"
        raise ValueError(
            f"The column {column!r} names a single environment ({only}): with nothing that varies there is nothing to "
            "be invariant to. Give data from at least two, or name another column with environment_column=."
        )


def check_none_lost(names: tuple[str, ...], trainer: Any) -> None:
    """Every environment of the dataset as it was given has rows in the one that the Trainer made of it."""
    left = trainer.environments.names
    lost = next((name for name in names if name not in left), None)
    if lost is not None:
        raise ValueError(
            f"No row of environment {lost!r} is left after {type(trainer).__name__} prepared the dataset: mend its "
            "rows (too long for max_length, or without anything to learn from), or leave that environment out."
        )


def check_labels(dataset: Any, model: Any, label_names: list[str]) -> None:
    """Labels that are there, and class ids within what the model's head can tell apart."""
    config = getattr(model, "config", None)
    classes = getattr(config, "num_labels", None)
    problem = getattr(config, "problem_type", None)
    columns = column_names(dataset)
    column = next((c for c in ("labels", "label", "label_ids") if c in columns), None)
    if column is None or not classes or classes < 2 or problem in ("regression", "multi_label_classification"):
        return
    if not len(dataset) or np.ndim(dataset[0][column]) > 0:
        return  # Labels of tokens: the whole column may be larger than memory.
    values = _as_array(dataset, column)
    if values is None or values.ndim != 1 or not np.issubdtype(values.dtype, np.integer) or not len(values):
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= classes:
        wrong = int(((values < 0) | (values >= classes)).sum())
        advice = (
            "leave out the rows without a label"
            if low < 0
            else f"renumber the labels or load the model with num_labels={high + 1}"
        )
        raise ValueError(
            f"The column {column!r} holds {low if low < 0 else high}, but the model tells {classes} classes apart "
            f"(0 to {classes - 1}), in {wrong} of {len(values)} rows: {advice}."
        )


def check_batch_norm(model: torch.nn.Module, frozen: bool) -> None:
    """Warn of batch norm in training mode."""
    if not frozen and any(
        isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and m.track_running_stats for m in model.modules()
    ):
        logger.warning(
            "The model has batch norm, which in training sees the rows of one environment at a time: it normalizes "
            "each environment by its own statistics, and the model is not the one that plain fine-tuning trains. Set "
            "freeze_batch_norm=True to keep its statistics, or use a model with layer norm or group norm."
        )


def check_loss(trainer: Any) -> None:
    """A trial forward pass on two rows of each of as many environments as a block has: each has a scalar loss."""
    model: Any = trainer.model
    was_training = model.training
    sampler = trainer.make_sampler()
    rows = [int(k) for of_environment in sampler.rows_of[: sampler.per_batch] for k in of_environment[:2]]
    loss, inputs = None, {}
    try:
        model.eval()
        with torch.random.fork_rng(), torch.no_grad():
            for environment, inputs in trainer.probe(rows).items():
                loss = trainer.risk(model, inputs)
                if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
                    break
                if not torch.isfinite(loss):
                    logger.warning(f"The loss of two rows of environment {environment!r} is {loss.item()}.")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if "loss" not in str(error) or "collator" in str(error):
            raise
        loss = None
    finally:
        model.train(was_training)
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        columns = column_names(trainer.train_dataset)
        known = {"labels", "label", "label_ids", *trainer.label_names}
        if not known & set(columns):
            raise ValueError(
                f"The training dataset has no column labels or label (its columns: {', '.join(columns)}), and "
                f"{type(model).__name__} returned no loss without: rename yours with dataset.rename_column."
            )
        raise ValueError(
            f"{type(model).__name__} returned no loss for a batch with {', '.join(sorted(inputs))}: give it a labels "
            "column that its forward takes, or give the Trainer a compute_loss_func."
        )


def check_best_metric(trainer: Any) -> None:
    """
    Whether the metric that the best checkpoint is chosen by will come, from an evaluation of two rows of each
    environment. Where `compute_metrics` fails on so few rows, nothing is said.
    """
    args = trainer.args
    wanted = args.metric_for_best_model
    if wanted is None or trainer.eval_dataset is None or str(getattr(args.eval_strategy, "value", "")) == "no":
        return
    wanted = wanted if wanted.startswith("eval_") else f"eval_{wanted}"
    try:
        with torch.random.fork_rng():
            found = trainer.metric_names()
    except Exception as error:
        logger.info(f"Which metrics there will be is not known before training: {error}")
        return
    if wanted not in found and not wanted.endswith(("_runtime", "_per_second")):
        raise ValueError(
            f"metric_for_best_model={args.metric_for_best_model!r} is no metric of the evaluation: use one of "
            f"{', '.join(sorted(found))}."
        )


def _as_array(dataset: Any, column: str) -> np.ndarray | None:
    if hasattr(dataset, "select_columns"):
        stored, rows = stored_column(dataset, column)
        if not pa.types.is_integer(stored.type) or stored.null_count:
            return None
        numbers: np.ndarray = stored.to_numpy()
        return numbers if rows is None else numbers[rows]
    if hasattr(dataset, "column_names"):
        values = dataset[column]
        return values.numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return np.asarray([dataset[k][column] for k in range(len(dataset))])
