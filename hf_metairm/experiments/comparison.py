"""What every recipe shares: the runs that its settings ask for, carried out and put side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from accelerate import PartialState

from ..cards.facts import CardDetails
from ..trainer import EnvironmentTrainer
from .bars import no_bars_in_files
from .engine import carry_out
from .measure import evaluated
from .run import DIGESTS, Result, Run, key_of
from .settings import Settings
from .store import Store
from .tables import write_summary
from .training import train_run
from .verdict import verdict


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

    def __post_init__(self) -> None:
        if not self.seeds or min(self.seeds) < 0:
            raise ValueError(f"seeds={self.seeds} is refused: use one or more numbers from 0 on.")


ArgumentsT = TypeVar("ArgumentsT", bound=ComparisonArguments)
# What a run's result does not depend on.
NOT_OF_A_RUN = ("output_dir", "seeds", "table_environments", "overwrite", "reference_config", "selection_rule")
REFERENCE_NAME = "erm, no cue"


def changes(runs: Sequence[Run], results: Sequence[Result]) -> Iterator[str]:
    """A line for each run that has a result of the same settings, but of files with other contents."""
    done = {Run("", result["settings"]).key for result in results}
    earlier = {_without_digests(result["settings"]): result["settings"] for result in results}
    for run in runs:
        before = earlier.get(_without_digests(run.settings))
        if run.key not in done and before is not None:
            others = [what for name, what in DIGESTS.items() if run.settings.get(name) != before.get(name)]
            yield f"{run}: {' and '.join(others)} changed since the result that is there, so it is done anew."


def _without_digests(settings: Mapping[str, Any]) -> str:
    return key_of({name: value for name, value in settings.items() if name not in DIGESTS})


class Comparison(ABC, Generic[ArgumentsT]):
    """
    Several algorithms on the same data, models and budget.

    Args:
        settings ([`Settings`]): the recipe's arguments and the fields of each algorithm's Config.
    """

    search: ClassVar[str] = "hf-metairm tune"
    """The command that looks for settings where these do not help."""

    def __init__(self, settings: Settings[ArgumentsT]):
        self.settings = settings
        self.arguments = settings.arguments
        self._contents: dict[tuple[str | None, int], dict[str, str]] = {}

    @abstractmethod
    def make_trainer(
        self, algorithm: str, dataset_config: str | None, seed: int, folder: Path, stack: ExitStack
    ) -> EnvironmentTrainer:
        """The algorithm's Trainer with a new model and its data, all drawn with `seed`; see [`train_run`]."""

    @abstractmethod
    def card_details(self, dataset_config: str | None, seed: int) -> CardDetails:
        """What the model's card says of its data, and of what was trained."""

    @abstractmethod
    def title(self) -> str:
        """What is compared, for the picture."""

    def contents(self, dataset_config: str | None, seed: int) -> dict[str, str]:
        """Some of [`DIGESTS`]: a run of other rows under an old file's name, say, is another run."""
        return {}

    def other_results(self) -> list[Result]:
        """Results that stand beside those of the runs and were measured on the way."""
        return []

    def runs(self) -> Iterator[Run]:
        """ERM without the cue, where there is such a config, then every algorithm, for each seed."""
        for seed in self.arguments.seeds:
            if self.arguments.reference_config:
                yield self._run(REFERENCE_NAME, "erm", self.arguments.reference_config, seed)
            for algorithm in self.settings.algorithms:
                yield self._run(algorithm, algorithm, self.arguments.dataset_config, seed)

    def _run(self, name: str, algorithm: str, dataset_config: str | None, seed: int) -> Run:
        data_and_model = self.data_and_model()
        fields = self.settings.fields[algorithm]
        which = {"dataset_config": dataset_config, "algorithm": algorithm, "seed": seed}
        if (dataset_config, seed) not in self._contents:
            self._contents[dataset_config, seed] = self.contents(dataset_config, seed)
        return Run(name, {**data_and_model, **fields, **which, **self._contents[dataset_config, seed]})

    def data_and_model(self) -> dict[str, Any]:
        """Those of the recipe's arguments that a run's result depends on."""
        return {k: v for k, v in asdict(self.arguments).items() if k not in NOT_OF_A_RUN}

    def train(self, run: Run, folder: Path, tell: Callable[[int], None]) -> Result:
        """Carry out one of the runs; see [`carry_out`]."""
        settings = run.settings
        algorithm, dataset_config, seed = settings["algorithm"], settings["dataset_config"], run.seed

        def make_trainer(folder: Path, stack: ExitStack) -> EnvironmentTrainer:
            trainer = self.make_trainer(algorithm, dataset_config, seed, folder, stack)
            details = self.card_details(dataset_config, seed)
            trainer.card_details = details.updated(
                selection_rule=self.arguments.selection_rule, baseline=self._baseline(run)
            )
            return trainer

        overwrite = self.arguments.overwrite
        return train_run(run, folder, make_trainer, evaluated, overwrite=overwrite, keep_model=True)

    def _baseline(self, run: Run) -> dict[str, Any] | None:
        """For the others' cards, what ERM came to with the same data, model and seed; it is trained first."""
        if run.settings["algorithm"] == "erm":
            return None
        same = (*self.data_and_model(), "dataset_config", "seed", *DIGESTS)
        for result in Store(Path(self.arguments.output_dir)).results():
            of_same = all(result["settings"].get(name) == run.settings.get(name) for name in same)
            if result["name"] == "erm" and of_same:
                not_metrics = ("rows", "majority", "risk")
                return {
                    e: {m: v for m, v in found.items() if m not in not_metrics} for e, found in result["test"].items()
                }
        return None

    def carry_out(self) -> list[Result]:
        """
        Carry out the runs, and put all results of the folder, these first, into the table, the picture and
        `results.json`.

        Raises:
            RunsFailedError: a run failed; the others were carried out all the same.
        """
        no_bars_in_files()
        store, runs = Store(Path(self.arguments.output_dir)), list(self.runs())
        if PartialState().is_main_process:
            for line in changes(runs, store.results()):
                print(line)
        outcome = carry_out(runs, store, self.train, keep_models=True, overwrite=self.arguments.overwrite)
        if PartialState().is_main_process:
            ours = {run.key for run in runs}
            others = [result for result in store.results() if Run("", result["settings"]).key not in ours]
            if results := [*self.other_results(), *outcome.results, *others]:
                write_summary(results, store.folder, self.title(), self.arguments.table_environments or None)
                print(f"Results, table and picture: {store.folder}")
                compared = [result for result in outcome.results if result["name"] != REFERENCE_NAME]
                if last := verdict(compared, self.search):
                    print(last)
        outcome.check()
        return outcome.results
