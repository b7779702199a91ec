"""Ctrl-C during training: finish the step, write a checkpoint, and stop."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from transformers import TrainerCallback


class CheckpointOnInterrupt(TrainerCallback):
    """
    On the first SIGINT or SIGTERM a checkpoint is written at the end of the step and training stops; `interrupted` is
    then true. A second one stops at once.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._previous: dict[int, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Listen from here on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save and stop if asked to."""
        if self.interrupted:
            control.should_save = control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Training came to its end."""
        self.release()

    def release(self) -> None:
        """Leave the signals to whoever had them before; also for who sees training fail, which calls no callback."""
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
