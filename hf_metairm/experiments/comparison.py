"""What every recipe shares: the runs that the settings ask for, carried out and put side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from accelerate import PartialState

from ..trainer import EnvironmentTrainer
from ..trainer.model_card import CardDetails
from .runs import Run, carry_out
from .settings import Settings
from .summary import write_summary


@dataclass
class ComparisonArguments:
    """What the settings of every recipe have; see `help` of each field."""

    output_dir: str = field(default="outputs", metadata={"help": "Where results and checkpoints go."})
    dataset_config: str | None = field(default=None, metadata={"help": "The dataset's config, if it has several."})
    reference_config: str | None = field(
        default=None,
        metadata={"help": "Another config, without the spurious cue, on which ERM is trained as the reference."},
    )
    source: str = field(
        default="auto",
        metadata={"help": "Where a dataset of this library is built from: auto, hub, bundled, or a folder."},
    )
    seeds: list[int] = field(default_factory=lambda: [0], metadata={"help": "One run of each algorithm per seed."})
    table_environments: list[str] = field(
        default_factory=list, metadata={"help": "Environments in the table; all of them if empty."}
    )
    overwrite: bool = field(default=False, metadata={"help": "Repeat runs whose results are there."})
    selection_rule: str | None = field(
        default=None, metadata={"help": "How the hyper-parameters were chosen, in a sentence for the model cards."}
    )


ArgumentsT = TypeVar("ArgumentsT", bound=ComparisonArguments)
# What a run's result does not depend on.
NOT_OF_A_RUN = ("output_dir", "seeds", "table_environments", "overwrite", "reference_config", "selection_rule")
REFERENCE_NAME = "erm, no cue"


class Comparison(ABC, Generic[ArgumentsT]):
    """
    Several algorithms on the same data, models and budget.

    Args:
        settings ([`Settings`]): the recipe's arguments and the fields of each algorithm's Config.
    """

    def __init__(self, settings: Settings[ArgumentsT]):
        self.settings = settings
        self.arguments = settings.arguments

    @abstractmethod
    def make_trainer(
        self, algorithm: str, dataset_config: str | None, seed: int, folder: Path, stack: ExitStack
    ) -> EnvironmentTrainer:
        """The algorithm's Trainer with a new model and its data, all drawn with `seed`; see [`Run`]."""

    @abstractmethod
    def card_details(self, dataset_config: str | None, seed: int) -> CardDetails:
        """What the model's card says of its data, and of what was trained."""

    @abstractmethod
    def title(self) -> str:
        """What is compared, for the picture."""

    def runs(self) -> Iterator[Run]:
        """ERM without the cue, where there is such a config, then every algorithm, for each seed."""
        for seed in self.arguments.seeds:
            if self.arguments.reference_config:
                yield self._run(REFERENCE_NAME, "erm", self.arguments.reference_config, seed)
            for algorithm in self.settings.algorithms:
                yield self._run(algorithm, algorithm, self.arguments.dataset_config, seed)

    def _run(self, name: str, algorithm: str, dataset_config: str | None, seed: int) -> Run:
        data_and_model = {k: v for k, v in asdict(self.arguments).items() if k not in NOT_OF_A_RUN}
        settings = {
            **data_and_model,
            "dataset_config": dataset_config,
            "algorithm": algorithm,
            **self.settings.fields[algorithm],
            "seed": seed,
        }
        return Run(name, seed, settings, partial(self._make, algorithm, dataset_config, seed), card=True)

    def _make(
        self, algorithm: str, dataset_config: str | None, seed: int, folder: Path, stack: ExitStack
    ) -> EnvironmentTrainer:
        trainer = self.make_trainer(algorithm, dataset_config, seed, folder, stack)
        details = self.card_details(dataset_config, seed)
        trainer.card_details = details.updated(selection_rule=self.arguments.selection_rule)
        return trainer

    def carry_out(self) -> list[dict[str, Any]]:
        """Carry out the runs, and write the table, the picture and the raw results."""
        folder = Path(self.arguments.output_dir)
        results = carry_out(list(self.runs()), folder, self.arguments.overwrite)
        if PartialState().is_main_process:
            write_summary(results, folder, self.title(), self.arguments.table_environments or None)
            print(f"Results, table and picture: {folder}")
        return results
