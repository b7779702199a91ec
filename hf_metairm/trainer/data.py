"""DataLoaders of a Trainer: training batches with one collated part for each environment, evaluation without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer

from ..environments import (
    CollatorWithoutColumn,
    EnvironmentCollator,
    Environments,
    EnvironmentSampler,
    read_environments,
)
from .lengths import read_lengths


class EnvironmentData(Trainer):
    """A `transformers.Trainer` whose training batches are `{environment: inputs}`."""

    args: Any
    _sampler: EnvironmentSampler | None = None
    _environments_of: tuple[Any, Environments] | None = None
    _lengths_of: tuple[Any, np.ndarray] | None = None

    @property
    def environments(self) -> Environments | None:
        """The environments of the training dataset as it is now; `None` without one."""
        dataset = self.train_dataset
        if dataset is None:
            return None
        if self._environments_of is None or self._environments_of[0] is not dataset:
            self._environments_of = (dataset, read_environments(dataset, self.args.environment_column))
        return self._environments_of[1]

    def make_sampler(self) -> EnvironmentSampler:
        """The sampler of the training dataset as it is now."""
        args, environments = self.args, self.environments
        assert environments is not None
        if args.auto_find_batch_size:
            # A batch that was made smaller because memory ran out must still be shared evenly.
            together = args.environments_per_batch or len(environments.names)
            self._train_batch_size = max(1, self._train_batch_size // together) * together
        return EnvironmentSampler(
            environments.ids,
            rows_per_block=self._train_batch_size,
            blocks_per_step=args.world_size * args.gradient_accumulation_steps,
            environments_per_batch=args.environments_per_batch,
            seed=args.seed if args.data_seed is None else args.data_seed,
            drop_last=args.dataloader_drop_last,
            names=environments.names,
            lengths=self._lengths() if args.train_sampling_strategy == "group_by_length" else None,
        )

    def _lengths(self) -> np.ndarray:
        """How long the rows of the training dataset are, which is looked up once."""
        dataset: Any = self.train_dataset
        if self._lengths_of is None or self._lengths_of[0] is not dataset:
            given = self.args.length_column_name
            tokens = getattr(self.processing_class, "model_input_names", ["input_ids"])[0]
            self._lengths_of = (dataset, read_lengths(dataset, given, tokens))
        return self._lengths_of[1]

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[Any]:
        self._sampler = self.make_sampler()
        return self._sampler

    def _run_epoch(self, **kwargs: Any) -> None:  # type: ignore[override]  # There each is named.
        # Accelerate does not reach the sampler behind all wrappers that a resumed epoch puts around it.
        if self._sampler is not None:
            self._sampler.set_epoch(kwargs["epoch"])
        # A run stopped after its last checkpoint, while it was being evaluated say, has no step left to take; where
        # max_steps ends within an epoch transformers looks only after it has taken one more.
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(**kwargs)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The training `DataLoader`: blocks of rows balanced over environments, dealt out to the processes whole."""
        environments = self.environments
        if environments is None:
            return super().get_train_dataloader()
        column, columns = self.args.environment_column, self._model_columns()
        if self.args.auto_find_batch_size:
            self.make_sampler()  # Settles the size of a batch, which the DataLoader is made with.
        with self._collating(lambda plain: EnvironmentCollator(plain, column, environments.name_of, columns)):
            return super().get_train_dataloader()

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """The evaluation `DataLoader`; the model does not see the environment column."""
        with self._collating(self._without_environments):
            return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        """The prediction `DataLoader`; the model does not see the environment column."""
        with self._collating(self._without_environments):
            return super().get_test_dataloader(test_dataset)

    def probe(self, rows: list[int]) -> Any:
        """A few rows of the training dataset, collated as in training: `{environment: inputs}` on the device."""
        dataset: Any = self.train_dataset
        some = dataset.select(rows) if hasattr(dataset, "select") else torch.utils.data.Subset(dataset, rows)
        environments = self.environments
        assert environments is not None
        column, columns = self.args.environment_column, self._model_columns()
        if hasattr(dataset, "select_columns"):
            some, inner = self._remove_unused_columns(some), self.data_collator
        else:
            inner = super()._get_collator_with_removed_columns(self.data_collator)
        collator = EnvironmentCollator(inner, column, environments.name_of, columns)
        return self._prepare_inputs(next(iter(DataLoader(some, batch_size=len(rows), collate_fn=collator))))

    def _without_environments(self, plain: Callable[..., Any]) -> CollatorWithoutColumn:
        return CollatorWithoutColumn(plain, self.args.environment_column, self._model_columns())

    @contextmanager
    def _collating(self, wrap: Callable[[Callable[..., Any]], Any]) -> Iterator[None]:
        """While a DataLoader is made, put a collator around the Trainer's own."""
        plain = self.data_collator
        self.data_collator = wrap(plain)
        try:
            yield
        finally:
            self.data_collator = plain

    def _model_columns(self) -> list[str] | None:
        if not self.args.remove_unused_columns:
            return None
        self._set_signature_columns_if_needed()
        return list(self._signature_columns or [])

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: Any = self._signature_columns  # A list now; transformers declares the None that it was.
        if self.args.environment_column not in columns:
            columns.append(self.args.environment_column)

    def _get_collator_with_removed_columns(self, data_collator: Any, description: str | None = None) -> Any:
        # Columns are removed from the rows before they are collated, inside of what we put around the collator.
        if not isinstance(data_collator, (EnvironmentCollator, CollatorWithoutColumn)):
            return super()._get_collator_with_removed_columns(data_collator, description)
        data_collator.collator = super()._get_collator_with_removed_columns(data_collator.collator, description)
        return data_collator
