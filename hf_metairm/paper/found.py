"""What there is of a table: its finished runs, by the setting that they were carried out in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..experiments.run import Result
from .rows import Row, Table
from .runs import run_of


# What the runs of one row may differ in; runs that differ in more than the seed never share one.
SETTING = ("batch", "source", "word_vectors")


class Setting(NamedTuple):
    """The batch size or `"full"`, the source in words, and the name of a file of word vectors."""

    batch: str
    source: str
    word_vectors: str | None

    def __str__(self) -> str:
        text = "Full batch" if self.batch == "full" else f"Batches of {int(self.batch):,} rows"
        return f"{text}; {self.source}" + (f"; word vectors {self.word_vectors}" if self.word_vectors else "")


def setting_of(result: Result) -> Setting:
    """The setting that a run was carried out in."""
    return Setting(str(result["settings"]["batch"]), result["source"], result["settings"]["word_vectors"])


def by_setting(table: Table, results: Sequence[Result]) -> dict[Setting, list[Result]]:
    """The results of a table's rows in each setting, the full batch first."""
    found: dict[Setting, list[Result]] = defaultdict(list)
    for row in table.rows:
        for result in results_of(table, row, results):
            found[setting_of(result)].append(result)
    return dict(sorted(found.items(), key=lambda item: tuple(map(str, item[0])), reverse=True))


def results_of(table: Table, row: Row, results: Sequence[Result]) -> list[Result]:
    """The results of a row as it is defined now, in any setting and of any seed."""
    found = {}
    for result in results:
        settings = result["settings"]
        wanted = run_of(table, row, 0, batch=settings["batch"], source="auto", word_vectors=None).settings
        if _without_setting(settings) == _without_setting(wanted):
            found[setting_of(result), settings["seed"]] = result
    return list(found.values())


def _without_setting(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in (*SETTING, "seed")}


def command(program: str, table: Table, runs: Sequence[Result], results: Sequence[Result], trials: int = 0) -> str:
    """
    The command that carries out runs such as these, as a block of Markdown.

    Args:
        program (`str`): `"reproduce"` or `"search"`.
        table ([`Table`]): of the runs.
        runs (`Sequence`): any of them; what they were carried out with is that of the first.
        results (`Sequence`): those with the seeds of the table itself.
        trials (`int`, *optional*): of each algorithm in a search.
    """
    settings = runs[0]["settings"]
    # A folder has no name in the lines: it is another one wherever the data lie.
    source = {"auto": None, "folder": "FOLDER"}.get(settings["source"], settings["source"])
    options = {
        "trials": trials or None,
        "seeds": max((result["seed"] + 1 for result in results), default=None),
        "batch_size": settings["batch"] if settings["batch"] != "full" else None,
        "source": source,
        "word_vectors": settings["word_vectors"],
    }
    words = [f"--{name} {value}" for name, value in options.items() if value is not None]
    block = "\n".join(["```bash", " ".join(["hf-metairm", program, table.name, *words]), "```"])
    return block + ("\n\n`FOLDER` is where the original data lie." if source == "FOLDER" else "")
