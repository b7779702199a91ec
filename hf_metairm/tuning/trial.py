"""One trial: a head trained with some settings, and what is measured of it for the rules."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from transformers import PrinterCallback, TrainerCallback

from ..experiments.heads import DEFAULTS, head_trainer
from ..experiments.measure import by_environment, by_name, logits_of
from ..experiments.run import Result, Run
from ..experiments.training import Tell, train_run
from ..experiments.two_stages import Features
from ..trainer import ALGORITHMS, EnvironmentTrainer
from ..trainer.watch import Watch
from .difference import find_difference


# A trial takes seconds: nothing of it is kept but its result.
_NOT_FIELDS = ("algorithm", "features", "head_units", "seed", "without")
_FIELDS = {"save_strategy": "no", "disable_tqdm": True, "logging_steps": 20}


def trial_run(
    algorithm: str, fields: Mapping[str, Any], features: str, units: int, seed: int, without: str = ""
) -> Run:
    """
    The run of a trial.

    Args:
        algorithm (`str`), fields (`Mapping[str, Any]`): with which settings what is trained.
        features (`str`): the key of the features.
        units (`int`): hidden units of the head.
        seed (`int`): of the head's initial weights.
        without (`str`, *optional*): a training environment to leave out, and to be judged in.
    """
    settings = {"algorithm": algorithm, **fields, "features": features, "head_units": units, "seed": seed}
    if without:
        return Run(f"{algorithm} without {without}", {**settings, "without": without}, "left_out")
    return Run(algorithm, settings, "trials")


def fields_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings of a trial's run, the fields of the algorithm's Config."""
    return {name: value for name, value in settings.items() if name not in _NOT_FIELDS}


def features_file(folder: Path, key: str) -> Path:
    """Where the features of a key lie."""
    return folder / f"features-{key}.safetensors"


@dataclass(frozen=True)
class Trial:
    """
    Carries out the runs of trials, in this process or in a worker.

    Args:
        folder (`Path`): of the features, see [`features_file`].
    """

    folder: Path

    def __call__(self, run: Run, folder: Path, tell: Callable[[int], None]) -> Result:
        """
        Train a head and measure it: `validation` and `test` by environment, and `groups`, the validation rows in which
        what differs between the environments speaks `for` the label, and `against` it (or the other way round).
        """
        features, first = _load(features_file(self.folder, run.settings["features"]))
        settings, train = dict(run.settings), features.train
        if without := settings.get("without"):
            train = train.select([k for k, name in enumerate(train["environment"]) if name != without])
        kind = ALGORITHMS[run.settings["algorithm"]][1]
        fields = {**DEFAULTS, **kind.on_own_data, **_FIELDS, **fields_of(settings)}
        config = kind(output_dir=str(folder), seed=run.seed, **fields)

        def make_trainer(folder: Path, stack: ExitStack) -> EnvironmentTrainer:
            trainer = head_trainer(settings["algorithm"], features, config, units=settings["head_units"], train=train)
            trainer.remove_callback(PrinterCallback)
            trainer.remove_callback(Watch)  # That some trials go too far is what a search is for.
            trainer.add_callback(Tell(tell, every=20))
            trainer.add_callback(_StopHopeless(len(features.labels)))
            return trainer

        def measure(trainer: EnvironmentTrainer) -> dict[str, Any]:
            rows = features.validation
            logits, labels = logits_of(trainer, rows), rows["labels"].numpy()
            validation = by_name(logits, labels, rows["environment"])
            if without:
                return {"left_out": {without: validation[without]}}
            return {
                "validation": validation,
                "groups": by_name(logits, labels, np.where(first, "one", "other").tolist()),
                "test": by_environment(trainer, features.test),
            }

        result = train_run(run, folder, make_trainer, measure)
        del result["history"]
        return result


class _StopHopeless(TrainerCallback):
    """
    Ends a training whose loss is not finite, and one that in its second half is no better than a constant: the mean
    risk is that of guessing among the classes, or above.
    """

    def __init__(self, classes: int):
        self._guessing = math.log(classes)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        risks = [value for name, value in (logs or {}).items() if name.startswith("risk_")]
        if not all(map(math.isfinite, risks)):
            raise FloatingPointError(f"The risks are not finite at step {state.global_step}.")
        if risks and state.global_step > state.max_steps / 2 and fmean(risks) >= self._guessing:
            control.should_training_stop = True


@lru_cache(maxsize=1)  # Trials of one seed follow each other.
def _load(file: Path) -> tuple[Features, np.ndarray]:
    features = Features.load(file)
    # A Trainer has garbage collected several times a run, which looks through all that the libraries hold: more than
    # half of a short trial. What is here by now stays to the end anyway.
    gc.freeze()
    return features, find_difference(features.train, features.validation)[1]
