"""`EnvironmentTrainer`: any `Trainer`, with batches balanced over environments and an algorithm on them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import TrainingArguments

from ..algorithms import Algorithm, Step
from ..algorithms.erm import ERM
from ..cards.facts import CardDetails
from ..deprecation import FormerAttribute, warn_of_former_methods
from ..environments import read_environments
from ..gradients import Part, as_parts, trainable_parameters
from .adapters import AdapterWithNames
from .checks import check_before_training, check_data, check_none_lost, check_setting
from .configs import EnvironmentConfig
from .data import EnvironmentData
from .model_card import ModelCardWriter
from .progress import close_progress, install_progress
from .risk import TrainerRisk
from .search import SearchesHyperparameters
from .settings import EnvironmentSettings
from .watch import Watch


AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class EnvironmentTrainer(SearchesHyperparameters, ModelCardWriter, AdapterWithNames, EnvironmentData):
    """
    Empirical risk minimization on environment-balanced batches, and the base of every Trainer of this library.

    Takes what `transformers.Trainer` takes; `args` is an [`EnvironmentConfig`]. The training dataset has a column that
    names each row's environment, and so may the evaluation datasets: each environment is then evaluated as a dataset
    of its own, which gives `eval_<environment>_loss` and `eval_<environment>_<metric>`,
    `eval_worst_environment_<metric>` and `eval_mean_environment_<metric>` for every metric. Beside the loss,
    `risk_<environment>` is logged.

    Which algorithm trains is the class attribute `algorithm_class`. In front of another Trainer class this class makes
    that one an environment Trainer: `class MetaIRMSFTTrainer(MetaIRMTrainer, SFTTrainer)`; its Config combines the
    settings in the same way: `class MetaIRMSFTConfig(EnvironmentSettings, MetaIRMSettings, SFTConfig)`.

    One optimizer step sees all its micro-batches and processes as one batch, also where the objective is not a sum
    over rows: accumulating k batches gives the gradient of the batch k times as large, each environment's risk
    weighted by the number of items (rows, or tokens with a label).

    Raises:
        ValueError: when made or when training starts, for a setting or data that training could not be right with;
            the message says how to mend it.
    """

    args: Any
    algorithm_class: ClassVar[type[Algorithm]] = ERM
    config_class: ClassVar[type[TrainingArguments]] = EnvironmentConfig
    objective_description = FormerAttribute(
        "hf_metairm.EnvironmentTrainer.objective_description", lambda trainer: trainer.algorithm.describe
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        warn_of_former_methods(cls, "hf_metairm.EnvironmentTrainer")

    def __init__(self, *args: Any, **kwargs: Any):
        given = _as_named(type(self), self, *args, **kwargs)
        config: Any = given.arguments.get("args")
        if config is None:
            config = given.arguments["args"] = self.config_class(output_dir="tmp_trainer")
        self._check_config(config)
        self._algorithm: Algorithm | None = None
        self._micro_batches: list[Mapping[str, Any]] = []
        self._logged: dict[str, list[Tensor]] = {}
        self.card_details = CardDetails()
        names: tuple[str, ...] = ()
        if (rows := given.arguments.get("train_dataset")) is not None:
            # Before a Trainer behind this one prepares them, which may take long.
            self._environments_of = (rows, read_environments(rows, config.environment_column))
            names = self._environments_of[1].names
        super().__init__(*given.args[1:], **given.kwargs)
        self.risk = TrainerRisk(self)
        install_progress(self, given.arguments.get("callbacks"))
        self._watch = Watch(self)
        self.add_callback(self._watch)
        check_setting(self)
        if self.train_dataset is not None:
            check_none_lost(names, self)
            check_data(self)

    def _check_config(self, config: Any) -> None:
        if not isinstance(config, EnvironmentSettings) or not isinstance(config, self.algorithm_class.Settings):
            raise ValueError(
                f"args is a {type(config).__name__}: {type(self).__name__} takes a {self.config_class.__name__}, "
                "which is a TrainingArguments with more fields."
            )

    # The algorithm

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm with its state, made anew whenever training starts."""
        if self._algorithm is None:
            self.args.check_settings()  # A search of hyper-parameters sets fields one by one.
            names = () if self.environments is None else self.environments.names
            self._algorithm = self.make_algorithm(names)
        return self._algorithm

    def make_algorithm(self, environments: tuple[str, ...]) -> Algorithm:
        """A new algorithm with this Trainer's settings."""
        return self.algorithm_class(self.args, environments)

    # Training

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """`transformers.Trainer.train`, after a look at whether it can be right."""
        self._algorithm = None
        # The trials of a search are looked at once, before the first: later ones find no model on some processes.
        if self.train_dataset is not None and self.hp_search_backend is None:
            if self.model is None and self.model_init is not None:
                self.model = self.call_model_init()  # A search let go of it.
            check_before_training(self)
        try:
            return super().train(*args, **kwargs)
        finally:
            close_progress(self)

    def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
        # Also where a smaller batch is tried after memory ran out: nothing of an earlier attempt is left.
        self._algorithm = None
        self._micro_batches, self._logged = [], {}
        self._results_step = None
        return super()._inner_training_loop(*args, **kwargs)

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """
        Keep the batch until the optimizer step's last micro-batch is there, then leave the objective's gradient in the
        parameters' `.grad`.

        Returns:
            `Tensor`: the objective, a scalar; 0 while micro-batches are being gathered.
        """
        model.train()
        if self.args.freeze_batch_norm:
            for module in model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        if callable(train := getattr(self.optimizer, "train", None)):
            train()
        self._micro_batches.append(self._prepare_inputs(inputs))
        if not self.accelerator.sync_gradients:
            return torch.zeros((), device=self.args.device)
        gathered, self._micro_batches = self._micro_batches, []
        return self.accumulate_gradient(model, {e: [batch[e] for batch in gathered] for e in gathered[0]})

    def accumulate_gradient(self, model: nn.Module, batches: dict[str, list[Any]]) -> Tensor:
        """
        Leave the gradient of the objective on `batches` (micro-batches, by environment) in the parameters' `.grad`.

        Returns:
            `Tensor`: the objective, detached.
        """
        step = Step(
            self.state.global_step,
            self.args.seed,
            self._loss_scale,
            AUTOCAST_DTYPES.get(self.accelerator.mixed_precision),
        )
        parameters = trainable_parameters(model)  # As the algorithm finds them: a loss may freeze some on the way.
        found = self.algorithm.gradient(model, self.risk, self._weighted(batches), step)
        for parameter, gradient in zip(parameters, found.gradients):
            if gradient is not None and step.loss_scale != 1.0:
                gradient = gradient.mul_(step.loss_scale)
            parameter.grad = gradient
        for environment, risk in found.risks.items():
            self.log_with_loss(f"risk_{environment}", risk)
        for name, value in found.logs.items():
            self.log_with_loss(name, value)
        return found.objective

    def _weighted(self, batches: dict[str, list[Any]]) -> dict[str, list[Part]]:
        """The micro-batches of each environment with their shares of its items, over all processes."""
        items = [self.risk.items(part) for inputs in batches.values() for part in inputs]
        if any(count is None for count in items):
            return as_parts(batches, self.args.world_size)
        counts = torch.stack([torch.as_tensor(c, device=self.args.device) for c in items]).double()
        counts = counts.reshape(len(batches), -1)
        totals = counts.sum(1)
        if self.args.world_size > 1:
            totals = self.accelerator.reduce(totals, reduction="sum")
        shares, sums = (counts / totals[:, None]).tolist(), totals.tolist()
        for environment, total in zip(batches, sums):
            if total == 0:
                raise ValueError(
                    f"No row of environment {environment!r} in this step has a label that is not -100, so its risk is "
                    "a mean over nothing: use larger batches, or leave such rows out."
                )
        return {
            environment: [Part(part, share, total) for part, share in zip(inputs, of_parts)]
            for (environment, inputs), of_parts, total in zip(batches.items(), shares, sums)
        }

    @property
    def _loss_scale(self) -> float:
        """What fp16's gradient scaler wants the loss multiplied by; the Trainer undoes it before the step."""
        scaler = self.accelerator.scaler
        if scaler is None:
            return 1.0
        # The scaler only makes its scale when it first scales something, and refuses to unscale before that.
        return float(scaler.scale(torch.ones((), device=self.args.device)))

    # Counting what a batch holds

    def floating_point_ops(self, inputs: Any) -> int:
        """Of one micro-batch, over its environments."""
        return sum(super(EnvironmentTrainer, self).floating_point_ops(part) for part in _inputs(inputs))

    def _track_num_input_tokens(self, inputs: Any) -> None:
        for part in _inputs(inputs):
            super()._track_num_input_tokens(part)

    # Logging

    @property
    def told(self) -> list[str]:
        """What was found wrong with the last training, as sentences, on the first process; see [`Watch`]."""
        return list(self._watch.told)

    def log_with_loss(self, name: str, value: Tensor) -> None:
        """Have the mean of `value` since the last logging step logged beside the loss."""
        self._logged.setdefault(name, []).append(value.detach())

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, and beside a training loss what [`log_with_loss`] gathered."""
        if "loss" in logs:
            logs.update({name: torch.stack(values).mean().item() for name, values in self._logged.items()})
            self._logged = {}
        super().log(logs, *args, **kwargs)


def _inputs(batch: Any) -> list[Any]:
    """The parts of a batch, one for each environment; the batch itself where it is not divided."""
    values = list(batch.values())
    return values if values and all(isinstance(v, Mapping) for v in values) else [batch]


def _as_named(cls: type, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
    """
    What a Trainer is made with, by the names of its arguments. Trainer classes differ in their order: the one behind
    ours says where `args` stands.
    """
    made_by = (vars(c)["__init__"] for c in cls.__mro__ if "__init__" in vars(c))
    return inspect.signature(next(filter(_names_args, made_by))).bind_partial(*args, **kwargs)


def _names_args(function: Any) -> bool:
    """Whether it has an argument called `args`, and not all positional ones under that name."""
    argument = inspect.signature(function).parameters.get("args")
    return argument is not None and argument.kind is not inspect.Parameter.VAR_POSITIONAL
