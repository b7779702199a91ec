"""`hyperparameter_search` of every Trainer: where to look and what for, where nothing is said."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sized
from typing import Any

from transformers import Trainer

from ..algorithms.settings import ANNEALING, Range
from ..environments import has_environments, read_environments
from ..selection import worst_environment, worst_environment_risk


logger = logging.getLogger(__name__)

AROUND = 10.0  # The learning rate is looked for within this factor of the one that was given.
ANNEALING_OF = 300  # Steps in the training that the ranges of `penalty_anneal_steps` are for.


class SearchesHyperparameters(Trainer):
    """A `transformers.Trainer` that knows the settings of its algorithm and where to look for them."""

    args: Any

    def hyperparameter_search(
        self,
        hp_space: Callable[[Any], dict[str, float]] | None = None,
        compute_objective: Callable[[dict[str, float]], Any] | None = None,
        n_trials: int = 20,
        direction: str | list[str] = "minimize",
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """
        `transformers.Trainer.hyperparameter_search`, with defaults that suit environments.

        Args:
            hp_space (`Callable`, *optional*): from an Optuna trial to fields; by default the learning rate, within a
                factor of ten of the one that was given, and the algorithm's own `search_space`.
            compute_objective (`Callable`, *optional*): from the metrics of an evaluation to what is sought, such as
                [`~hf_metairm.selection.accuracy_less_spread`]; by default the loss in the worst environment where it
                is minimized, and the accuracy there where it is maximized. The sum of all metrics, which it is in a
                plain Trainer, would add losses to accuracies.
            n_trials (`int`, *optional*, defaults to 20): how many.
            direction (`str` or `list[str]`, *optional*, defaults to `"minimize"`): or `"maximize"`.
            *args, **kwargs: as `transformers.Trainer.hyperparameter_search` takes them, `backend="optuna"` and what
                `optuna.create_study` takes among them.

        Raises:
            ValueError: several processes, of which a pruner would stop one and leave the others waiting.
        """
        if self.model_init is not None and self.model is None:
            self.model = self.call_model_init()  # An earlier search let go of it.
        if self.args.world_size > 1:
            if kwargs.get("pruner") is not None:
                raise ValueError(
                    "A pruner would stop a trial on one process and leave the others waiting: search without one, or "
                    "on one process."
                )
            if kwargs.get("backend", "optuna") == "optuna" and self.args.process_index == 0:
                import optuna

                kwargs["pruner"] = optuna.pruners.NopPruner()  # Without one, Optuna takes one of its own.
        self._floats_as_floats()
        self._warn_of_unseen()
        if compute_objective is None and isinstance(direction, str):
            compute_objective = worst_environment if direction == "maximize" else worst_environment_risk
        if hp_space is None and kwargs.get("backend", "optuna") == "optuna":
            hp_space = self._default_space()
        return super().hyperparameter_search(hp_space, compute_objective, n_trials, direction, *args, **kwargs)

    def _default_space(self) -> Callable[[Any], dict[str, float]]:
        """The ranges as they are before the first trial, which changes `args`."""
        rate = self.args.learning_rate
        space = {"learning_rate": Range(rate / AROUND, rate * AROUND), **self.args.search_space}
        if "penalty_anneal_steps" in space:
            share = self._planned_steps() / ANNEALING_OF
            low, high = round(ANNEALING.low * share), round(ANNEALING.high * share)
            space["penalty_anneal_steps"] = Range(low, max(high, low + 1), log=False, whole=True)

        def draw(trial: Any) -> dict[str, float]:
            return {
                name: trial.suggest_int(name, int(r.low), int(r.high), log=r.log)
                if r.whole
                else trial.suggest_float(name, r.low, r.high, log=r.log)
                for name, r in space.items()
            }

        return draw

    def _planned_steps(self) -> int:
        args, dataset = self.args, self.train_dataset
        steps: int = args.max_steps
        if steps > 0:
            return steps
        assert isinstance(dataset, Sized)
        rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        steps = round(args.num_train_epochs * len(dataset) / rows)
        return max(1, steps)

    def _floats_as_floats(self) -> None:
        """A setting that was given as 100 is 100.0: transformers gives what a trial draws the type that is there."""
        for part in dataclasses.fields(self.args):
            value = getattr(self.args, part.name)
            if part.type in (float, "float") and isinstance(value, int):
                setattr(self.args, part.name, float(value))

    def _warn_of_unseen(self) -> None:
        column = self.args.environment_column
        parts = self.eval_dataset.values() if isinstance(self.eval_dataset, dict) else [self.eval_dataset]
        known = set(read_environments(self.train_dataset, column).names)
        held = [set(read_environments(part, column).names) for part in parts if has_environments(part, column)]
        unseen = sorted(set().union(*held) - known)
        if unseen:
            logger.warning(
                f"The search looks at environments that training does not see ({', '.join(unseen)}): its choice will "
                "say nothing about places that nobody has seen. Leave them out of eval_dataset."
            )
