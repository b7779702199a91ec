"""One run with a Trainer: goes on from its last whole checkpoint, stops politely, leaves a model and a result."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback, TrainingArguments

from ..files import write
from ..provenance import hardware, versions
from ..trainer import EnvironmentTrainer
from .interrupts import take_over
from .run import Result, Run
from .store import SETTINGS_NAME, checkpoints, has_settings


MakeTrainer = Callable[[Path, ExitStack], EnvironmentTrainer]
Measure = Callable[[EnvironmentTrainer], dict[str, Any]]


def train_run(
    run: Run,
    folder: Path,
    make_trainer: MakeTrainer,
    measure: Measure,
    *,
    overwrite: bool = False,
    keep_model: bool = False,
) -> Result:
    """
    Train and measure what a run says.

    Args:
        run ([`Run`]): its settings are written into the folder; checkpoints of others are not gone on from.
        folder (`Path`): of checkpoints and model.
        make_trainer (`Callable[[Path, ExitStack], EnvironmentTrainer]`): given the folder, the Trainer with model and
            data; what must be undone after the run goes on the stack.
        measure (`Callable[[EnvironmentTrainer], dict]`): after training, what the result says of the model.
        overwrite (`bool`, *optional*, defaults to `False`): whether to begin anew where there is a checkpoint.
        keep_model (`bool`, *optional*, defaults to `False`): whether to leave the model with its card in the folder.

    Raises:
        KeyboardInterrupt: training was interrupted; a checkpoint was written.
    """
    with ExitStack() as stack:
        trainer = make_trainer(folder, stack)
        log_in(trainer.args)
        same = not overwrite and has_settings(folder, run)
        checkpoint = trainer.newest_whole_checkpoint() if same else None
        trainer.accelerator.wait_for_everyone()
        if trainer.is_world_process_zero():
            for old in [] if checkpoint else checkpoints(folder):
                shutil.rmtree(old)
            settings = json.dumps(run.settings, indent=1, sort_keys=True)
            write(folder / SETTINGS_NAME, settings.encode())
        trainer.accelerator.wait_for_everyone()
        stop = CheckpointOnInterrupt()
        trainer.add_callback(stop)
        start = time.perf_counter()
        try:
            trainer.train(resume_from_checkpoint=checkpoint)
        finally:
            stop.release()
        if stop.interrupted:
            raise KeyboardInterrupt
        seconds = time.perf_counter() - start
        result = {
            "name": run.name,
            "algorithm": trainer.algorithm.title,
            "seed": run.seed,
            **measure(trainer),
            "train_seconds": round(seconds, 2),
            "steps": trainer.state.global_step,
            "resumed": checkpoint is not None,
            "settings": run.settings,
            "versions": versions(),
            "hardware": hardware(),
            "history": [logged for logged in trainer.state.log_history if "loss" in logged],
        }
        if keep_model:
            trainer.save_model(str(folder))
            trainer.create_model_card()  # After the weights: adapters are saved with a card that is not ours.
        trainer.accelerator.wait_for_everyone()
        trainer.accelerator.free_memory()
        return result


def log_in(args: TrainingArguments) -> None:
    """Give the Hub's token to its library, whichever of its functions asks for it."""
    if args.hub_token:
        os.environ["HF_TOKEN"] = args.hub_token


class Tell(TrainerCallback):
    """
    Now and then says how far training is.

    Args:
        tell (`Callable`): takes the number of steps taken.
        every (`int`, *optional*, defaults to 10): steps between one call and the next.
    """

    def __init__(self, tell: Callable[[int], None], every: int = 10):
        self._tell, self._every = tell, every

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell, if it is time."""
        if state.global_step % self._every == 0:
            self._tell(state.global_step)


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
        self._previous.update(take_over(self._note))

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
        if PartialState().is_main_process:
            print("Stopping after this step, with a checkpoint; once more stops at once.", file=sys.stderr, flush=True)
