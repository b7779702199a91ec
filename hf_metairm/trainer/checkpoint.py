"""What an algorithm carries from step to step, as a part of every checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import Trainer


STATE_FILE = "algorithm_state.json"


class CheckpointedState(Trainer):
    """
    A `transformers.Trainer` whose checkpoints hold the algorithm's own state beside the optimizer's.

    The state belongs to the optimizer's: without it a resumed run is another run. A subclass that has one overrides
    `algorithm_state` and `load_algorithm_state`, and says in `_state_name` what it is and in `_without_state` what
    someone can do who has a checkpoint that lacks it.
    """

    _state_name = ""
    _without_state = "start anew"

    def algorithm_state(self) -> dict[str, Any] | None:
        """The state as JSON can hold it, bit for bit; `None` if there is none to keep."""
        return None

    def load_algorithm_state(self, state: dict[str, Any]) -> None:
        """Put back what `algorithm_state` gave."""
        raise NotImplementedError

    def _run_epoch(self, **kwargs: Any) -> None:  # type: ignore[override]
        # A run stopped after its last checkpoint, while it was being evaluated say, has no step left to take; where
        # max_steps ends within an epoch transformers looks only after it has taken one more.
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(**kwargs)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        state = self.algorithm_state()
        if state is not None and self.args.should_save:
            Path(output_dir, STATE_FILE).write_text(json.dumps(state), encoding="utf-8")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or self.algorithm_state() is None:
            return
        file = Path(checkpoint, STATE_FILE)
        if not file.exists():
            raise ValueError(
                f"{checkpoint} holds no {self._state_name} ({STATE_FILE}), without which a resumed run is another: "
                f"{self._without_state}."
            )
        self.load_algorithm_state(json.loads(file.read_text(encoding="utf-8")))
