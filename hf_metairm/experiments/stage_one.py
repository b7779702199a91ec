"""The settings of the first of two stages."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


HEAD_ROWS, SAMPLING = ("other", "all"), ("random", "group_by_length")


@dataclass
class StageOneArguments:
    """How the encoder is fine-tuned before the algorithms begin, where `stages` is `two`; see `help` of each field."""

    stage_one_epochs: float = field(default=1.0, metadata={"help": "Two stages: epochs of the first."})
    stage_one_learning_rate: float = field(default=1e-4, metadata={"help": "Two stages: learning rate of the first."})
    stage_one_batch_size: int = field(default=32, metadata={"help": "Two stages: rows in a batch of the first."})
    stage_one_sampling: str = field(
        default="random",
        metadata={
            "help": "Two stages: how batches of the first are drawn; of rows of about the same length it is faster.",
            "choices": SAMPLING,
        },
    )
    stage_one_share: float = field(
        default=0.4, metadata={"help": "Two stages: share of the training rows for the first."}
    )
    stage_one_bf16: bool | None = field(
        default=None,
        metadata={"help": "Two stages: whether the first computes in bfloat16; where that is faster, by default."},
    )
    features_bf16: bool = field(
        default=False,
        metadata={
            "help": "Two stages: whether test rows are read in bfloat16, too: to three digits as the saved model does."
        },
    )
    validation_share: float = field(
        default=0.2, metadata={"help": "Two stages: share of the training rows that rules choose by."}
    )
    head_rows: str = field(
        default="other",
        metadata={
            "help": "Two stages: rows for the head: other than those of the first, or all but the validation rows.",
            "choices": HEAD_ROWS,
        },
    )
    head_units: int = field(default=64, metadata={"help": "Two stages: hidden units of the head."})

    def __post_init__(self) -> None:
        following = getattr(super(), "__post_init__", None)
        if following is not None:  # Of the settings that these are combined with.
            following()
        for name in ("stage_one_epochs", "stage_one_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)} is refused: use a finite positive number.")
        for name in ("stage_one_batch_size", "head_units"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is refused: use a number from 1 on.")
        for name in ("stage_one_share", "validation_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is refused: use a number between 0 and 1.")
        for name, choices in (("head_rows", HEAD_ROWS), ("stage_one_sampling", SAMPLING)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r} is refused: use {' or '.join(choices)}.")
        if self.stage_one_share + self.validation_share >= 1:
            raise ValueError(
                f"stage_one_share={self.stage_one_share} and validation_share={self.validation_share} leave no rows "
                "for the head: their sum must be below 1."
            )
