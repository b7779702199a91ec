"""The files of a checkpoint, in a folder or on the Hub, and what its card notes down of its training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ..data.seen import SEEN, SeenTexts
from ..models.reading import check_name, file_of


@dataclass(frozen=True)
class Record:
    """
    What the `results.json` beside a model's card says of its training.

    Args:
        labels (`list[str]`): what its classes are called, in order; empty where it is not known.
        environments (`list[str]`): which it was trained on; empty where it is not known.
        environment_column (`str`, *optional*): which column named them.
        algorithm (`str`, *optional*): what trained it, as its card calls it.
        datasets (`list[str]`): what it was trained on; empty where it is not known.
        results (`dict[str, dict]`): what was measured, by environment, each with `rows`, `majority` and `unseen`.
    """

    labels: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    environment_column: str | None = None
    algorithm: str | None = None
    datasets: list[str] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def unseen(self, names: Sequence[str], column: str) -> dict[str, bool]:
        """Which of some environments training did not see; nothing where these seem to be of another kind."""
        of_a_kind = column == self.environment_column or set(names) & set(self.environments)
        return {name: name not in self.environments for name in names} if self.environments and of_a_kind else {}


def read_seen(name: str) -> SeenTexts | None:
    """Which texts a checkpoint in a folder of this machine was trained on, where it keeps that."""
    file = Path(name, SEEN)
    try:
        return SeenTexts.load(file) if file.is_file() else None
    except (OSError, ValueError, TypeError, KeyError, SafetensorError):
        return None


def read_record(name: str) -> Record:
    """The record of a checkpoint in a folder or on the Hub; an empty one where there is none of ours."""
    check_name(name)
    file = file_of(name, "results.json")
    try:
        found = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
        return Record(
            list(found["labels"]),
            list(found["training_rows"]),
            found.get("environment_column"),
            found.get("algorithm") or None,
            list(found.get("dataset") or []),
            {_place(part): part for part in found.get("results") or [] if part["environment"] is not None},
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Record()


def _place(part: dict[str, Any]) -> str:
    """The environment, and before it the dataset where it was evaluated on several."""
    return ", ".join(str(part[name]) for name in ("dataset", "environment") if name in part)
