"""Settings of the Trainers that concern the data and the model, beside those of the algorithm."""

from __future__ import annotations

import dataclasses
import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from ..algorithms.settings import Settings, wrong
from ..secrets import is_secret


@dataclass
class EnvironmentSettings(Settings):
    """
    How rows of several environments become batches.

    `per_device_train_batch_size` counts the examples of all environments in the batch together; each gets an equal
    share of them.

    Args:
        environment_column (`str`, *optional*, defaults to `"environment"`):
            The column that names each row's environment: strings, integers or a `ClassLabel`.
        environments_per_batch (`int`, *optional*):
            Environments in one batch, drawn anew each step; all of them if `None`.
        freeze_batch_norm (`bool`, *optional*, defaults to `False`):
            Keep the statistics of batch norm as they are. In training mode it would see one environment at a time.

    Raises:
        ValueError: a value that the field cannot take.
    """

    environment_column: str = field(
        default="environment", metadata={"help": "The column that names each row's environment."}
    )
    environments_per_batch: int | None = field(
        default=None, metadata={"help": "Environments in one batch, drawn anew each step; all of them if None."}
    )
    freeze_batch_norm: bool = field(
        default=False, metadata={"help": "Keep batch norm's statistics as they are during training."}
    )

    def __post_init__(self) -> None:
        self._check_finite()  # Before `TrainingArguments` reckons with them.
        super().__post_init__()

    def _check_finite(self) -> None:
        for part in dataclasses.fields(self):
            value = getattr(self, part.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise wrong(self, part.name, "a finite number")

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        self._check_finite()
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            if getattr(self, name, 1) < 1:
                raise wrong(self, name, "a number from 1 on")
        number = self.environments_per_batch
        fewest = getattr(self, "fewest_environments", 1)
        if number is not None and number < fewest:
            raise wrong(self, "environments_per_batch", f"at least {fewest}, or None for all environments")

    # A Trainer pickles its arguments into every checkpoint, and pushes them: tokens are in no pickle. A copy has them.

    def __getstate__(self) -> dict[str, Any]:
        return {k: None if is_secret(k) and isinstance(v, str) else v for k, v in vars(self).items()}

    def __copy__(self) -> Any:
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = memo[id(self)] = object.__new__(type(self))
        vars(copied).update(deepcopy(vars(self), memo))
        return copied
