"""Checkpoints that are whole or not there, with the algorithm's state in them."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints

from ..algorithms import Algorithm
from ..files import INCOMPLETE, filling, says_if_full, tree_to_disk
from .whole import STATE, flaw_of, newest_whole


STATE_FILE = "algorithm_state.safetensors"


class CheckpointedState(Trainer):
    """
    A `transformers.Trainer` whose checkpoints hold the algorithm's own state beside the optimizer's, by the names of
    the environments: without it a resumed run is another run.

    A checkpoint is written into the folder `_incomplete` and takes its place when it is whole: what `checkpoint-N` is
    called can be resumed from, also after a kill or on a full disk. So are the files of `save_model`.

    Raises:
        DiskFullError: there was no room for a checkpoint or a model; those before are kept.
    """

    _folder_of_checkpoints: Path | None = None  # While a checkpoint is being written.

    @property
    def algorithm(self) -> Algorithm:
        """What is trained by, with its state."""
        raise NotImplementedError

    # Going on

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """
        `transformers.Trainer.train`. With `resume_from_checkpoint=True` the newest whole checkpoint is gone on from;
        those that are not whole are named. Where none is, and there are such, training begins anew.

        Raises:
            ValueError: the checkpoint that is named is not whole.
        """
        if resume_from_checkpoint is True:
            resume_from_checkpoint = self.newest_whole_checkpoint() or not self._has_checkpoints()
        elif resume_from_checkpoint and (flaw := flaw_of(Path(resume_from_checkpoint))):
            raise ValueError(
                f"{resume_from_checkpoint} is no whole checkpoint: {flaw}. resume_from_checkpoint=True goes on from "
                "the newest whole one."
            )
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def newest_whole_checkpoint(self) -> str | None:
        """The checkpoint in the output folder to go on from; newer ones that are not whole are named in a warning."""
        folder = Path(str(self.args.output_dir))
        whole, broken = newest_whole(folder)
        going_on = "training begins anew" if whole is None else f"going on from {whole.name}"
        broken |= dict.fromkeys((folder / INCOMPLETE).glob("checkpoint-*"), "it was not written to its end")
        for place, flaw in broken.items() if self.is_world_process_zero() else ():
            warnings.warn(f"{place} is no whole checkpoint: {flaw}; {going_on}.", stacklevel=3)
        return None if whole is None else str(whole)

    def _has_checkpoints(self) -> bool:
        folder = Path(str(self.args.output_dir))
        return (folder / INCOMPLETE).is_dir() or any(folder.glob("checkpoint-*"))

    # Writing

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        place = Path(self._get_output_dir(trial=trial))
        name = f"checkpoint-{self.state.global_step}"
        writing = place / INCOMPLETE / name
        best = self.state.best_global_step
        with says_if_full(place / name):
            if self.args.should_save:
                shutil.rmtree(place / INCOMPLETE, ignore_errors=True)
            self.accelerator.wait_for_everyone()
            self._folder_of_checkpoints = place / INCOMPLETE
            try:
                super()._save_checkpoint(model, trial)
            except BaseException:
                if self.args.should_save:  # Make room. The empty folder stays: it says that there was a checkpoint.
                    shutil.rmtree(writing, ignore_errors=True)
                    writing.mkdir(parents=True, exist_ok=True)
                raise
            finally:
                self._folder_of_checkpoints = None
            if best and (best == self.state.global_step or (place / f"checkpoint-{best}").is_dir()):
                self.state.best_model_checkpoint = str(place / f"checkpoint-{best}")
            if self.args.should_save:
                self.state.save_to_json(str(writing / STATE))  # Now that it knows the best one by its final name.
                tree_to_disk(writing)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                shutil.rmtree(place / name, ignore_errors=True)
                os.replace(writing, place / name)
                shutil.rmtree(place / INCOMPLETE, ignore_errors=True)
            self.accelerator.wait_for_everyone()
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(place / name))
        if self.args.should_save:
            rotate_checkpoints(
                output_dir=str(place),
                save_total_limit=self.args.save_total_limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
                use_mtime=True,
            )

    def _get_output_dir(self, trial: Any) -> str:
        if self._folder_of_checkpoints is not None:
            return str(self._folder_of_checkpoints)
        return super()._get_output_dir(trial)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self._folder_of_checkpoints is None:  # Else it comes when the checkpoint is whole.
            super()._push_from_checkpoint(checkpoint_folder)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir if output_dir is not None else str(self.args.output_dir))
        if self._folder_of_checkpoints is not None or not self.args.should_save:
            super()._save(str(folder), state_dict)
            return
        with filling(folder) as new:
            if (folder / "README.md").is_file():  # An adapter's saving adds to the card that is there.
                shutil.copy(folder / "README.md", new)
            super()._save(str(new), state_dict)

    # The algorithm's state

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
