"""What is to be run, and the file of what has been: one JSON line per finished run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .experiments import Row, Table


ALL_P = tuple(f"p=0.{k}" for k in range(1, 10))


@dataclass(frozen=True)
class Job:
    """
    One run.

    Args:
        file (`str`): name of the file of results that its line goes into, without suffix.
        config (`Mapping`): everything that the result depends on, as JSON has it.
    """

    file: str
    config: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The same for the same config, and for no other."""
        return key_of(self.config)

    def __str__(self) -> str:
        return f"{self.config['table']}, {self.config['row']}, seed {self.config['seed']}"


def key_of(config: Mapping[str, Any]) -> str:
    """A config's digest: twelve hexadecimal digits."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]


def make_job(
    table: Table, row: Row, seed: int, *, batch: int | str, source: str, word_vectors: str | None, file: str = ""
) -> Job:
    """
    The run of a table's row with a seed.

    Args:
        table ([`Table`]): of the row.
        row ([`Row`]): what to train.
        seed (`int`): of the dataset's draws, the initial weights and the order of the rows.
        batch (`int` or `"full"`): rows in a batch, of all environments together.
        source (`str`): where the dataset is built from. Of a folder only that it is one is part of the config.
        word_vectors (`str`, *optional*): file of word vectors; of it only the name is part of the config.
        file (`str`, *optional*): see [`Job`]; the table's name by default.
    """
    text = table.dataset == "punctuated_sst2"
    row = row.at(batch)
    config = {
        "table": table.name,
        "row": row.name,
        "algorithm": row.algorithm,
        "dataset": table.dataset,
        "dataset_config": table.config,
        "dataset_changes": dict(row.dataset_changes),
        "source": source if source in ("auto", "hub", "bundled") else "folder",
        "environments": list(ALL_P if table.curve else table.environments),
        "word_vectors": Path(word_vectors).name if text and word_vectors else None,
        "hidden_size": row.hidden_size,
        "steps": row.steps,
        "batch": batch,
        "fields": dict(row.fields),
        "seed": seed,
    }
    return Job(file or table.name, config)


class Lines:
    """The finished runs in a folder, in one file of JSON lines for each [`Job.file`]."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, file: str) -> list[dict[str, Any]]:
        """
        The lines of a file.

        Raises:
            ValueError: a line that is no JSON, other than a last one that was cut off.
        """
        path = self.folder / f"{file}.jsonl"
        if not path.is_file():
            return []
        lines = path.read_text(encoding="utf-8").split("\n")
        found = []
        for number, line in enumerate(lines, 1):
            try:
                if line:
                    found.append(json.loads(line))
            except ValueError as error:
                if number == len(lines):  # Cut off while it was written: that run is repeated.
                    break
                raise ValueError(f"Line {number} of {path} is no JSON: mend or delete it.") from error
        return found

    def append(self, file: str, line: Mapping[str, Any]) -> None:
        """Add a line, after whatever is whole there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{file}.jsonl"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole, encoding="utf-8")
        with path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")

    def of(self, jobs: Iterable[Job]) -> dict[str, dict[str, Any]]:
        """By key the lines of those jobs that are done."""
        jobs = list(jobs)
        lines = [line for file in dict.fromkeys(job.file for job in jobs) for line in self.read(file)]
        by_key = {key_of(line["config"]): line for line in lines}
        return {job.key: by_key[job.key] for job in jobs if job.key in by_key}
