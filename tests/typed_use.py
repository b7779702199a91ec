"""
What a user's own code looks like to a type checker. `make lint` checks this file under `mypy --strict`; it is not run.
Where an error is ignored, mypy has to find one there: with types that say nothing it would not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_type

from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_metairm import (
    ColoredMNIST,
    EnvironmentConfig,
    EnvironmentSampler,
    EnvironmentTrainer,
    GroupDROConfig,
    GroupDROTrainer,
    IRMConfig,
    IRMTrainer,
    MetaIRMConfig,
    MetaIRMTrainer,
    MMRExConfig,
    PunctuatedSST2,
    RExConfig,
    RExTrainer,
    __version__,
    infer_environments,
    meta_gradient,
)
from hf_metairm.algorithms import ALGORITHMS, Algorithm, Step
from hf_metairm.algorithms.base import Logs, algorithm
from hf_metairm.algorithms.risk_objective import RiskObjective
from hf_metairm.algorithms.settings import AlgorithmSettings
from hf_metairm.data import TensorRows
from hf_metairm.environments import Environments, read_environments
from hf_metairm.evaluation import EnvironmentScores, Evaluation
from hf_metairm.inference import InferredEnvironments
from hf_metairm.inspection import Inspection
from hf_metairm.metrics import ACCURACY
from hf_metairm.models import ColoredMNISTClassifier, ColoredMNISTConfig
from hf_metairm.provenance import versions
from hf_metairm.selection import TUNING_RULES, Measured, accuracy_less_spread
from hf_metairm.trainer import EnvironmentResult


Batch = tuple[Tensor, Tensor]


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    inputs, labels = batch
    return nn.functional.cross_entropy(model(inputs), labels)


def a_meta_gradient(model: nn.Module, batches: Mapping[str, Batch]) -> list[Tensor]:
    found = meta_gradient(model, cross_entropy, batches, inner_learning_rate=0.05, kind="crossed_difference")
    assert_type(found.objective, Tensor)
    assert_type(found.error, Tensor | None)
    assert_type(found.meta_losses["clinic", "ward"], Tensor)
    meta_gradient(model, cross_entropy, batches, inner_steps="two")  # type: ignore[arg-type]
    meta_gradient(model, cross_entropy, batches, outer_environments="some")  # type: ignore[arg-type]
    meta_gradient(model, cross_entropy, batches, alpha=0.05)  # type: ignore[call-arg]
    return found.gradients


def training(model: PreTrainedModel, rows: TensorRows) -> dict[str, float]:
    config = MetaIRMConfig("output", environment_column="site", inner_learning_rate=0.05, max_steps=10)
    assert_type(config.std_loss_weight, float)
    assert_type(config.environments_per_batch, int | None)
    MetaIRMConfig("output", inner_learning_rate="small")  # type: ignore[arg-type]
    MetaIRMConfig("output", inner_lr=0.05)  # type: ignore[call-arg]
    trainer = MetaIRMTrainer(model=model, args=config, train_dataset=rows)
    assert_type(trainer.environments, Environments | None)
    assert_type(trainer.algorithm, Algorithm)
    assert_type(trainer.results, list[EnvironmentResult] | None)
    return trainer.evaluate()


def trainers(model: PreTrainedModel, rows: TensorRows) -> Iterator[EnvironmentTrainer]:
    yield EnvironmentTrainer(model, EnvironmentConfig("output", l2_regularization=1e-3), train_dataset=rows)
    yield IRMTrainer(model, IRMConfig("output", penalty_weight=1e3), train_dataset=rows)
    yield GroupDROTrainer(model, GroupDROConfig("output", group_dro_step_size=0.1), train_dataset=rows)
    for config in (RExConfig("output", penalty_weight=1e3), MMRExConfig("output")):
        yield RExTrainer(model, config, train_dataset=rows)


@dataclass
class TiltedSettings(AlgorithmSettings):
    tilt: float = 1.0


@algorithm("tilted")
class Tilted(RiskObjective):
    Settings = TiltedSettings
    settings: TiltedSettings

    def objective(
        self, risks: Tensor, others: Tensor, environments: Sequence[str], shares: Tensor, step: Step, logs: Logs
    ) -> Tensor:
        assert_type(self.settings.tilt, float)
        logs["largest"] = risks.amax()
        return (self.settings.tilt * risks).logsumexp(0)


def algorithms() -> tuple[type[Algorithm], type[Tilted]]:
    return ALGORITHMS["tilted"], Tilted


def data() -> tuple[ColoredMNIST, PunctuatedSST2]:
    return ColoredMNIST("binary", source="bundled", test_environments=(0.1, 0.9)), PunctuatedSST2()


def environments(rows: TensorRows) -> EnvironmentSampler:
    found = infer_environments("regression", rows, seed=1)
    assert_type(found, InferredEnvironments)
    assert_type(found.rows, dict[str, int])
    read = read_environments(found.dataset, found.column)
    assert_type(read.names, tuple[str, ...])
    return EnvironmentSampler(read.ids, rows_per_block=32, names=read.names)


def results(evaluation: Evaluation, inspection: Inspection, runs: Sequence[Measured]) -> Measured:
    assert_type([score.metrics for score in evaluation.environments], list[dict[str, float]])
    assert_type(evaluation.environments[0], EnvironmentScores)
    assert_type([cue.column for cue in inspection.differing], list[str])
    assert_type(ACCURACY.standard_error(0.8, rows=100), float | None)
    assert_type(accuracy_less_spread({"eval_worst_environment_accuracy": 0.8}), float)
    return TUNING_RULES["half-range"](runs, 0.1, "ward")


def a_model() -> ColoredMNISTClassifier:
    assert_type(ColoredMNISTConfig(hidden_size=64).hidden_size, int)
    return ColoredMNISTClassifier(ColoredMNISTConfig())


def provenance() -> dict[str, str]:
    return {"version": __version__, **versions("peft")}
