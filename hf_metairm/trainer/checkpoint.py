"""What an algorithm carries from step to step, as a part of every checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from transformers import Trainer

from ..algorithms import Algorithm


STATE_FILE = "algorithm_state.safetensors"


class CheckpointedState(Trainer):
    """
    A `transformers.Trainer` whose checkpoints hold the algorithm's own state beside the optimizer's, by the names of
    the environments. Without it a resumed run is another run.
    """

    @property
    def algorithm(self) -> Algorithm:
        """What is trained by, with its state."""
        raise NotImplementedError

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.algorithm.has_state and self.args.should_save:
            tensors = {name: value.detach().contiguous() for name, value in self.algorithm.state_dict().items()}
            names = {"environments": json.dumps(self.algorithm.environments)}
            save_file(tensors, Path(output_dir, STATE_FILE), metadata=names)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or not self.algorithm.has_state:
            return
        file = Path(checkpoint, STATE_FILE)
        if not file.exists():
            raise ValueError(
                f"{checkpoint} holds no {self.algorithm.state_name} ({STATE_FILE}), without which a resumed run is "
                f"another: {self.algorithm.without_state}."
            )
        with safe_open(file, framework="pt") as state:
            tensors = {name: state.get_tensor(name).to(self.args.device) for name in state.keys()}  # noqa: SIM118
            names = json.loads((state.metadata() or {}).get("environments", "[]"))
        self.algorithm.load_state_dict(tensors, names)
