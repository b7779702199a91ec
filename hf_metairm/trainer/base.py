"""`EnvironmentTrainer`: a `transformers.Trainer` with batches balanced over environments, and plain ERM on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from ..environments import (
    EnvironmentCollator,
    Environments,
    EnvironmentSampler,
    column_names,
    read_environments,
    split_by_environment,
)
from .checkpoint import CheckpointedState
from .checks import check_environments, check_labels, check_loss, check_setting
from .configs import EnvironmentConfig
from .gradients import backward_through_risks
from .model_card import ModelCardWriter, Objective
from .progress import close_progress, install_progress


class EnvironmentTrainer(ModelCardWriter, CheckpointedState):
    """
    Empirical risk minimization on environment-balanced batches, and the base of every algorithm of this library.

    Takes what `transformers.Trainer` takes; `args` is an [`EnvironmentConfig`]. The training dataset has a column that
    names each row's environment, and so may the evaluation datasets: they are then evaluated per environment, which
    gives `eval_<environment>_accuracy`, `eval_worst_environment_accuracy` and `eval_mean_environment_accuracy`, and
    the metrics of `compute_metrics` for each environment as well. Beside the loss, `risk_<environment>` is logged.

    An algorithm is a subclass with an `objective_of` the risks (and of more `statistics` of the environments, where it
    needs them), or with an `accumulate_gradient` of its own. One optimizer step sees all its micro-batches and
    processes as one batch, also where the objective is not a sum over rows: accumulating k batches gives the gradient
    of the batch k times as large.

    Raises:
        ValueError: when made or when training starts, for a setting or data that training could not be right with;
            the message says how to mend it.
    """

    args: EnvironmentConfig
    _tag_names: tuple[str, ...] = ("hf-metairm", "out-of-distribution")
    _name = "ERM"

    def __init__(self, model: Any = None, args: EnvironmentConfig | None = None, **kwargs: Any):
        args = EnvironmentConfig(output_dir="tmp_trainer") if args is None else args
        if not isinstance(args, EnvironmentConfig):
            raise ValueError(
                f"args is a {type(args).__name__}: {type(self).__name__} takes an EnvironmentConfig or one of its "
                "kind, which is a TrainingArguments with more fields."
            )
        super().__init__(model, args, **kwargs)
        install_progress(self, kwargs.get("callbacks"))
        check_setting(self)
        # The risk of a batch is a mean over its rows, here and in every objective; the Trainer must not rescale it.
        self.model_accepts_loss_kwargs = False
        self._micro_batches: list[dict[int, dict[str, Any]]] = []
        self._logged: dict[str, list[Tensor]] = {}
        self._set_up_evaluation(args.environment_column)
        self.environments: Environments | None = None
        if self.train_dataset is not None:
            self.environments = read_environments(self.train_dataset, args.environment_column)
            check_environments(self.environments, args.environment_column)
            check_labels(self.train_dataset, model=self.model)
            self._ids_of(self.train_dataset)  # First come the training environments, whatever is evaluated before.
            self._make_sampler()

    # Data

    def _make_sampler(self) -> EnvironmentSampler:
        args, environments = self.args, self.environments
        assert environments is not None
        return EnvironmentSampler(
            environments.ids,
            rows_per_block=self._train_batch_size,
            blocks_per_step=args.world_size * args.gradient_accumulation_steps,
            environments_per_batch=args.environments_per_batch,
            seed=args.seed if args.data_seed is None else args.data_seed,
            drop_last=args.dataloader_drop_last,
            names=environments.names,
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler:
        return self._make_sampler()

    def get_train_dataloader(self) -> DataLoader:
        """The training `DataLoader`: blocks of rows balanced over environments, dealt out to the processes whole."""
        with self._collating_environments(self.train_dataset):
            return super().get_train_dataloader()

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """The evaluation `DataLoader`, which keeps the environment column where the dataset has one."""
        dataset = eval_dataset if eval_dataset is not None else self.eval_dataset
        if isinstance(dataset, str):
            dataset = self.eval_dataset[dataset]  # type: ignore[index]
        with self._collating_environments(dataset):
            return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader:
        """The prediction `DataLoader`, which keeps the environment column where the dataset has one."""
        with self._collating_environments(test_dataset):
            return super().get_test_dataloader(test_dataset)

    def probe_dataloader(self, rows: Any, dataset: Any) -> DataLoader:
        """A plain `DataLoader` over a few `rows` of `dataset`, collated as in training."""
        if hasattr(dataset, "select_columns"):
            rows = self._remove_unused_columns(dataset.select(rows.indices))
            collate = self.data_collator
        else:
            collate = super()._get_collator_with_removed_columns(self.data_collator)
        collator = EnvironmentCollator(
            collate, self.args.environment_column, self._ids_of(dataset), self._model_columns()
        )
        return DataLoader(rows, batch_size=len(rows), collate_fn=collator)

    @contextmanager
    def _collating_environments(self, dataset: Any) -> Iterator[None]:
        """While a DataLoader is made for `dataset`, let the collator carry its environment column along."""
        if dataset is None or not hasattr(dataset, "__len__") or not self._has_environments(dataset):
            yield
            return
        plain = self.data_collator
        self.data_collator = EnvironmentCollator(
            plain, self.args.environment_column, self._ids_of(dataset), self._model_columns()
        )
        try:
            yield
        finally:
            self.data_collator = plain

    def _has_environments(self, dataset: Any) -> bool:
        return self.args.environment_column in column_names(dataset)

    def _ids_of(self, dataset: Any) -> dict[Any, int]:
        """Ids for the values of a dataset's environment column; one name has one id, whatever dataset it is in."""
        name_of = read_environments(dataset, self.args.environment_column).name_of
        for name in name_of.values():
            if name not in self.environment_names:
                self.environment_names.append(name)
        return {value: self.environment_names.index(name) for value, name in name_of.items()}

    def _model_columns(self) -> list[str] | None:
        if not self.args.remove_unused_columns:
            return None
        self._set_signature_columns_if_needed()
        return list(self._signature_columns or [])

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: list[str] = self._signature_columns  # type: ignore[assignment]
        if self.args.environment_column not in columns:
            columns.append(self.args.environment_column)

    def _get_collator_with_removed_columns(self, data_collator: Any, description: str | None = None) -> Any:
        if not isinstance(data_collator, EnvironmentCollator):
            return super()._get_collator_with_removed_columns(data_collator, description)
        inner = super()._get_collator_with_removed_columns(data_collator.collator, description)
        return EnvironmentCollator(inner, data_collator.column, data_collator.id_of, data_collator.columns)

    def prepare_rows(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], Tensor]:
        """A collated batch on the right device, and apart from it the environment ids, shape (rows,)."""
        rows = dict(self._prepare_inputs(dict(inputs)))
        return rows, rows.pop(self.args.environment_column)

    # Training

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """`transformers.Trainer.train`, after a look at whether the model returns a loss."""
        if self.train_dataset is not None and not self.is_fsdp_enabled:
            check_loss(self)
        self._micro_batches, self._logged = [], {}
        self._results_step = None
        try:
            return super().train(*args, **kwargs)
        finally:
            close_progress(self)

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """
        Keep the batch until the optimizer step's last micro-batch is there, then leave the objective's gradient in the
        parameters' `.grad`.

        Returns:
            `Tensor`: the objective, a scalar; 0 while micro-batches are being gathered.
        """
        model.train()
        if callable(getattr(self.optimizer, "train", None)):
            self.optimizer.train()  # type: ignore[union-attr]
        rows, ids = self.prepare_rows(inputs)
        self._micro_batches.append(split_by_environment(rows, ids))
        if not self.accelerator.sync_gradients:
            return torch.zeros((), device=self.args.device)
        gathered, self._micro_batches = self._micro_batches, []
        batches = {e: [micro_batch[e] for micro_batch in gathered] for e in gathered[0]}
        return self.accumulate_gradient(model, batches)

    def accumulate_gradient(self, model: nn.Module, batches: dict[int, list[dict[str, Any]]]) -> Tensor:
        """
        Leave the gradient of the objective on `batches` (micro-batches, by environment) in the parameters' `.grad`.

        Returns:
            `Tensor`: the objective, detached.
        """
        environments = sorted(batches)
        objective, statistics = backward_through_risks(
            model,
            self.statistics,
            lambda joint: self.objective_of(joint[:, 0], joint[:, 1:], environments),
            batches,
            self._loss_scale,
        )
        self._log_risks(dict(zip(environments, statistics[:, 0])))
        return objective + self._regularize(model, self.objective_divisor)

    def statistics(self, model: nn.Module, rows: dict[str, Any]) -> Tensor:
        """
        What the objective looks at in some rows of one environment: means over the rows, a tensor of shape (1 + k,),
        of which the first is the risk.
        """
        return self.risk(model, rows).reshape(1)

    def objective_of(self, risks: Tensor, others: Tensor, environments: list[int]) -> Tensor:
        """
        The objective, called once in a step, alike on every process: for ERM the mean of the risks.

        Args:
            risks (`Tensor`): of the environments in the joint batch, shape (E,).
            others (`Tensor`): their other statistics, shape (E, k).
            environments (`list[int]`): their ids, places in `environment_names`.

        Returns:
            `Tensor`: a scalar.
        """
        return risks.mean()

    @property
    def objective_divisor(self) -> float:
        """What the objective of this step is divided by; its L2 term is divided by it, too."""
        return 1.0

    def risk(self, model: nn.Module, rows: dict[str, Any]) -> Tensor:
        """R_e: the mean loss over some rows of one environment, a scalar."""
        with self.compute_loss_context_manager():
            loss = self.compute_loss(model, dict(rows))
        assert isinstance(loss, Tensor)
        return loss

    def _regularize(self, model: nn.Module, divisor: float = 1.0) -> Tensor:
        """Add the gradient of `l2_regularization` Σθ² / divisor to the parameters' gradients; return the term."""
        weight = self.args.l2_regularization / divisor
        total = torch.zeros((), device=self.args.device)
        if weight == 0:
            return total
        for parameter in model.parameters():
            if parameter.requires_grad:
                value = parameter.detach()
                change = value * (2 * weight * self._loss_scale)
                parameter.grad = change if parameter.grad is None else parameter.grad.add_(change)
                squares = value.pow(2).sum()
                total += squares.full_tensor() if hasattr(squares, "full_tensor") else squares
        return weight * total

    @property
    def _loss_scale(self) -> float:
        """What fp16's gradient scaler wants the loss multiplied by; the Trainer undoes it before the step."""
        scaler = self.accelerator.scaler
        if scaler is None:
            return 1.0
        # The scaler only makes its scale when it first scales something, and refuses to unscale before that.
        return float(scaler.scale(torch.ones((), device=self.args.device)))

    # The card

    def objective_description(self) -> Objective:
        """
        What is minimized, for the card: here the mean of the environments' risks.

        An algorithm with another objective says so by overriding this.
        """
        own = type(self)
        if (own.objective_of, own.accumulate_gradient) != (
            EnvironmentTrainer.objective_of,
            EnvironmentTrainer.accumulate_gradient,
        ):
            return Objective(
                f"the objective of {own.__name__}",
                "It is described where the class is defined; it has no `objective_description` of its own.",
                "what its objective says, by the training environments",
            )
        return Objective(
            f"J(θ) = (1/E) Σ_e R_e(θ){self._l2_term}",
            "R_e is the mean loss over the rows of environment e. This is plain empirical risk minimization, the "
            "baseline, on batches with the same number of rows from each of the E environments.",
            "nothing but too little data: it learns whatever predicts the label on average over the training "
            "environments",
            "A cue that predicts the label in them and not elsewhere, however its strength differs between them, will "
            "have been learned.",
        )

    @property
    def _l2_term(self) -> str:
        weight = self.args.l2_regularization
        return f" + {weight:g} Σθ²" if weight else ""

    # Logging

    def _log_risks(self, risks: Mapping[int, Tensor]) -> None:
        for e, risk in risks.items():
            self.log_with_loss(f"risk_{self.environment_names[e]}", risk)

    def log_with_loss(self, name: str, value: Tensor) -> None:
        """Have the mean of `value` since the last logging step logged beside the loss."""
        self._logged.setdefault(name, []).append(value.detach())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, and beside a training loss what [`log_with_loss`] gathered."""
        if "loss" in logs:
            logs.update({name: torch.stack(values).mean().item() for name, values in self._logged.items()})
            self._logged = {}
        super().log(logs, start_time)
