"""Tells, once, when training has gone past the invariant point, or has given the task up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from transformers import Trainer, TrainerCallback
from transformers.utils import logging

from .guessing import risks_of_constants


logger = logging.get_logger(__name__)

# In units of the risk of the best constant: below LEARNED something has been learned; from NEAR on nothing is known
# any more; from ABOVE on the model does worse than that constant.
LEARNED, NEAR, ABOVE = 0.95, 0.98, 1.05
LOGS_IN_A_ROW = 2  # before something is told on the way, since a risk is measured on the batches
FEWEST_LOGS = 3  # before something is told at the end of a training in which nothing was ever learned
ERRORS = 2.0  # standard errors that accuracy must be below guessing by
MOST_NAMED = 4


class Watch(TrainerCallback):
    """
    Looks at the training environments' risks when they are logged, and at their accuracies when they are evaluated.

    An objective that wants equal risks, or equal meta-losses, is met by a model that knows nothing, and beyond the
    invariant model by one that holds the cue against the label. Both show in the training environments. What is told
    goes to the log, and into `told`.

    Args:
        trainer ([`EnvironmentTrainer`]): whose risks are looked at, where they are cross-entropies.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.told: list[str] = []
        self._constants: Mapping[str | None, float] = {}
        self._begin()

    def _begin(self) -> None:
        self.told.clear()
        self._last: dict[str, float] = {}
        self._learned, self._logs = False, 0
        self._past_for = self._collapsed_for = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Forget an earlier training; one that is gone on from is looked at from its beginning."""
        self._begin()
        self._constants = _constants(self.trainer) if state.is_world_process_zero else {}
        for logged in state.log_history:
            self._take(logged)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Take the risks that stand beside a training loss."""
        self._take(logs or {})
        if self._learned and self._past_for >= LOGS_IN_A_ROW:
            self._tell_past(state.global_step)
        elif self._learned and self._collapsed_for >= LOGS_IN_A_ROW:
            self._tell_collapse(state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Where training ends with a model that knows nothing, say so, too."""
        if self._logs < FEWEST_LOGS:
            return
        if self._past_for:
            self._tell_past(state.global_step)
        elif self._collapsed_for:
            self._tell_collapse(state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Compare accuracy in the training environments with guessing."""
        trained = getattr(self.trainer.environments, "names", ())
        classes = getattr(getattr(self.trainer.model, "config", None), "num_labels", 0)
        found = {r.environment: r for r in self.trainer.found if r.environment in trained and "accuracy" in r.metrics}
        if not state.is_world_process_zero or not found or classes < 2 or not state.global_step:
            return
        chance = 1 / classes
        error = {name: math.sqrt(chance * (1 - chance) / max(r.rows, 1)) for name, r in found.items()}
        if all(r.metrics["accuracy"] < chance - ERRORS * error[name] for name, r in found.items()):
            values = _named({str(name): 100 * r.metrics["accuracy"] for name, r in found.items()}, "{:.0f} %")
            self._tell(
                f"Step {state.global_step}: every training environment is predicted worse than by guessing, which is "
                f"right in {100 * chance:.0f} % ({values}). {self._past()}"
            )

    def _take(self, logs: Mapping[str, Any]) -> None:
        risks = {key.removeprefix("risk_"): value for key, value in logs.items() if key.startswith("risk_")}
        known = {name: risk / self._constants[name] for name, risk in risks.items() if self._constants.get(name)}
        if "loss" not in logs or not known or not all(map(math.isfinite, known.values())):
            return
        self._logs += 1
        self._last = {name: risks[name] for name in known}
        self._learned |= max(known.values()) < LEARNED
        least = min(known.values())
        self._past_for = self._past_for + 1 if least >= ABOVE else 0
        self._collapsed_for = self._collapsed_for + 1 if least >= NEAR else 0

    def _tell_past(self, step: int) -> None:
        self._tell(
            f"Step {step}: the risk in every training environment is above that of the best constant "
            f"({self._compared()}). {self._past()}"
        )

    def _tell_collapse(self, step: int) -> None:
        algorithm = self.trainer.algorithm
        self._tell(
            f"Step {step}: the risks of the training environments are those of the best constant, which knows how "
            f"frequent the classes are and nothing else ({self._compared()}): {algorithm.title} has given the task "
            f"up, or has not learned it. Try {algorithm.gentler}, or let `hf-metairm tune` choose."
        )

    def _past(self) -> str:
        algorithm = self.trainer.algorithm
        return (
            f"{algorithm.title} has gone past the invariant point, to a model that uses a cue the wrong way round, or "
            f"it diverges. Use {algorithm.gentler}, or let `hf-metairm tune` choose."
        )

    def _compared(self) -> str:
        return (
            _named(self._last, "{:.3f}")
            + "; constant: "
            + _named({e: self._constants[e] for e in self._last}, "{:.3f}")
        )

    def _tell(self, text: str) -> None:
        if not self.told:
            self.told.append(text)
            logger.warning(text)


def _constants(trainer: Any) -> Mapping[str | None, float]:
    """The risks of constants, where the model is a classifier that is trained by the plain cross-entropy."""
    args, config = trainer.args, getattr(trainer.model, "config", None)
    own_loss = trainer.compute_loss_func is not None or type(trainer).compute_loss is not Trainer.compute_loss
    plain = not args.label_smoothing_factor and not own_loss
    one_class = getattr(config, "problem_type", None) not in ("regression", "multi_label_classification")
    if not plain or not one_class or getattr(config, "num_labels", 0) < 2:
        return {}
    return risks_of_constants(trainer.train_dataset, args.environment_column)


def _named(values: Mapping[str, float], form: str) -> str:
    """Each with its name, or, where there are many, from where to where they go."""
    if len(values) <= MOST_NAMED:
        return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())
    low, high = min(values.values()), max(values.values())
    return f"{form.format(low)} to {form.format(high)} in {len(values)} environments"
