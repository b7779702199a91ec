"""The runs of a table: a row with a seed each, and a search of hyper-parameters with what the rules choose."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..experiments.engine import Outcome, carry_out
from ..experiments.run import Result, Run
from ..experiments.search import RANGES, draw
from ..experiments.store import Store
from ..selection import MARGIN, RULES
from .rows import Row, Table, changed


ALL_P = tuple(f"p=0.{k}" for k in range(1, 10))


@dataclass(frozen=True)
class Machine:
    """
    What the runs have to work with.

    Args:
        source (`str`): where datasets are built from: auto, hub, bundled, or a folder.
        word_vectors (`str`, *optional*): file of word vectors.
        device (`str`, *optional*): `"cpu"` or `"cuda"`; a GPU if there is one, by default.
        side_by_side (`int`, *optional*): runs at a time; by default one for each core up to four, and one on a GPU.
    """

    source: str = "auto"
    word_vectors: str | None = None
    device: str | None = None
    side_by_side: int | None = None

    @property
    def workers(self) -> int:
        """Runs at a time."""
        if self.side_by_side is not None:
            return self.side_by_side
        if self.device == "cuda" or (self.device is None and shutil.which("nvidia-smi")):
            return 1
        return min(os.cpu_count() or 1, 4)

    def __call__(self, run: Run, folder: Path, tell: Callable[[int], None]) -> Result:
        """Carry out a run in a worker; see [`train_perceptron`]."""
        # In the worker: the parent needs no torch.
        if run.settings.get("model") == "two stages":
            from ..experiments.fine_tuned import train_fine_tuned

            return train_fine_tuned(run, folder, tell, source=self.source, device=self.device)
        from ..experiments.perceptron import train_perceptron

        return train_perceptron(
            run, folder, tell, source=self.source, word_vectors=self.word_vectors, device=self.device
        )

    def carry_out(self, runs: Sequence[Run], folder: Path, say: Callable[[str], None] = print) -> Outcome:
        """Carry out the runs that have no result in `folder` yet; see [`carry_out`]."""
        return carry_out(runs, Store(folder), self, workers=self.workers, say=say)


def run_of(
    table: Table, row: Row, seed: int, *, batch: int | str, source: str, word_vectors: str | None, file: str = ""
) -> Run:
    """
    The run of a table's row with a seed.

    Args:
        table ([`Table`]): of the row.
        row ([`Row`]): what to train.
        seed (`int`): of the dataset's draws, the initial weights and the order of the rows.
        batch (`int` or `"full"`): rows in a batch, of all environments together.
        source (`str`): where the dataset is built from. Of a folder only that it is one is part of the settings.
        word_vectors (`str`, *optional*): file of word vectors; of it only the name is part of the settings.
        file (`str`, *optional*): see [`Run`]; the table's name by default.
    """
    words = table.dataset == "punctuated_sst2" and table.model == "perceptron"
    if table.model == "two stages":
        batch = "full"  # Features are small.
    row = row.at(batch)
    settings = {
        "table": table.name,
        "row": row.name,
        "algorithm": row.algorithm,
        "dataset": table.dataset,
        "dataset_config": table.config,
        "dataset_changes": {**table.dataset_changes, **row.dataset_changes},
        "source": source if source in ("auto", "hub", "bundled") else "folder",
        "environments": list(ALL_P if table.curve else table.environments),
        "word_vectors": Path(word_vectors).name if words and word_vectors else None,
        "hidden_size": row.hidden_size,
        "steps": row.steps,
        "batch": batch,
        "fields": dict(row.fields),
        "seed": seed,
        # Only where they are not what most tables have: what is there keeps its key.
        **({"model": table.model} if table.model != "perceptron" else {}),
        **({"expectation": True} if table.expectation else {}),
    }
    return Run(row.name, settings, file or table.name)


def searched(table: Table, algorithms: Sequence[str] | None = None) -> list[Row]:
    """The rows of a table that are searched: one for each algorithm that has ranges, references left out."""
    rows = [row for row in table.rows if row.algorithm in RANGES and not row.reference]
    return [row for row in rows if algorithms is None or row.algorithm in algorithms]


def search_file(table: Table) -> str:
    """The file of a search's results."""
    return f"search_{table.name}"


def trial(table: Table, row: Row, number: int) -> Row:
    """A row with its hyper-parameters drawn anew, by the algorithm and the trial's number alone."""
    return changed(row, f"{row.name}, trial {number}", **draw(row.algorithm, number, table.searched))


def trial_runs(table: Table, rows: Sequence[Row], trials: int, **settings: Any) -> list[Run]:
    """The runs of a search, the algorithms in turn; trial t has seed 1000 + t."""
    return [
        run_of(table, trial(table, row, number), 1000 + number, file=search_file(table), **settings)
        for number in range(trials)
        for row in rows
    ]


def choices(
    table: Table, rows: Sequence[Row], results: Sequence[Result], margin: float = MARGIN
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """By row name and rule the trial that the rule chooses, of those in `results`."""
    found = {}
    for row in rows:
        of_row = [result for result in results if result["settings"]["row"].startswith(f"{row.name}, trial ")]
        for name, rule in RULES.items():
            if of_row:
                found[row.name, name] = rule(of_row, margin, table.environments[-1])
    return found


def chosen_runs(
    table: Table, chosen: Mapping[tuple[str, str], Mapping[str, Any]], seeds: int, **settings: Any
) -> list[Run]:
    """What the rules chose, trained with the seeds that the table itself has; once where two rules chose the same."""
    rows = []
    for result in chosen.values():
        found = result["settings"]
        row = table.row(found["row"].split(", trial ")[0])
        changes = {"hidden_size": found["hidden_size"], "steps": found["steps"], **found["fields"]}
        rows.append(changed(row, f"{found['row']}, chosen", **changes))
    runs = [run_of(table, row, seed, file=search_file(table), **settings) for row in rows for seed in range(seeds)]
    return list(dict.fromkeys(runs))


def search(
    table: Table,
    algorithms: Sequence[str] | None,
    trials: int,
    seeds: int,
    folder: Path,
    machine: Machine,
    *,
    batch: int | str,
    margin: float = MARGIN,
    say: Callable[[str], None] = print,
) -> None:
    """
    Carry out the trials, let every rule choose, and train what was chosen with `seeds` seeds.

    Raises:
        ValueError: the table has none of the algorithms, or is trained in two stages, which `tune` searches.
        RunsFailedError: a run failed; the others were carried out all the same.
    """
    if table.model == "two stages":
        raise ValueError(
            f"The rows of {table.name} are trained in two stages: `hf-metairm tune {table.dataset} --dataset_config "
            f"{table.config}` chooses their settings."
        )
    rows = searched(table, algorithms)
    if not rows:
        there = dict.fromkeys(row.algorithm for row in searched(table))
        raise ValueError(
            f"{table.name} has no algorithm to search among {', '.join(algorithms or [])}; there are "
            f"{', '.join(there)}."
        )
    settings = {"batch": batch, "source": machine.source, "word_vectors": machine.word_vectors}
    tried = machine.carry_out(trial_runs(table, rows, trials, **settings), folder, say)
    chosen = choices(table, rows, tried.results, margin)
    for (row, rule), result in chosen.items():
        found = result["settings"]
        fields = ", ".join(f"{name} {_short(value)}" for name, value in found["fields"].items())
        say(f"{row}, {rule}: {found['row']} (hidden_size {found['hidden_size']}, steps {found['steps']}, {fields})")
    again = machine.carry_out(chosen_runs(table, chosen, seeds, **settings), folder, say)
    Outcome([*tried.results, *again.results], {**tried.failed, **again.failed}).check()


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and math.isfinite(value) else str(value)
