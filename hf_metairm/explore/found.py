"""What a folder of runs holds: results, by the file that they stand in, and saved models."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data import DATASETS
from ..evaluation.checkpoint import kind_of
from ..evaluation.files import Record, read_record
from ..experiments.run import Result
from ..experiments.store import Store
from ..files import in_one_line
from ..tuning.tune import MODELS


RUNS, STAGE_ONE, SUMMARY, CARDS = "runs", "stage_one", "results.json", "model cards"


@dataclass(frozen=True)
class SavedModel:
    """
    A checkpoint among the runs.

    Args:
        name (`str`): what it is called on the page: its folder, as seen from that of the runs.
        folder (`Path`): where it is.
        kind (`str`): `"text"` or `"image"`.
    """

    name: str
    folder: Path
    kind: str

    @cached_property
    def record(self) -> Record:
        """What its card says of its training; see [`read_record`]."""
        return read_record(str(self.folder))

    @property
    def builder(self) -> Any:
        """The class of the package's own dataset that it was trained on; `None` where it was another."""
        names = self.record.datasets
        return DATASETS[names[0]] if len(names) == 1 and names[0] in DATASETS else None


@dataclass(frozen=True)
class Found:
    """
    What there is to look at.

    Args:
        folder (`Path`): of the runs.
        results (`dict[str, list[Result]]`): by the name of what they stand in, those of `train` first.
        models (`list[SavedModel]`): in alphabetical order.
        notes (`list[str]`): what cannot be read, a sentence each.
    """

    folder: Path
    results: dict[str, list[Result]]
    models: list[SavedModel]
    notes: list[str]


def look_into(folder: Path) -> Found:
    """
    Read what `train`, `tune`, `reproduce` or a Trainer has left in its output folder.

    Raises:
        OSError: there is no such folder, or it cannot be read.
        ValueError: it holds neither results nor models.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"There is no folder {folder}: name the output folder of a training.")
    notes: list[str] = []
    models = list(_models(folder, notes))
    results = {name: kept for name, found in _results(folder, notes) if (kept := list(map(_marked, _usable(found))))}
    if not results and (of_cards := _usable(map(_of_card, models))):
        results = {CARDS: of_cards}
    if not results and not models:
        raise ValueError(" ".join([*notes, f"{folder} holds neither results nor models of runs: {_other(folder)}."]))
    return Found(folder, results, models, notes)


def _results(folder: Path, notes: list[str]) -> Iterator[tuple[str, list[Result]]]:
    """What each file of lines holds; where there is none, what `train` wrote of all of them at its end."""
    files = [place / file.stem for place in (folder, folder / MODELS) for file in sorted(place.glob("*.jsonl"))]
    for path in sorted(files, key=lambda path: path.name != RUNS):
        if path.name == STAGE_ONE and path.with_name(RUNS) in files:
            continue  # It is shown with the runs, as `train` does.
        store, first = Store(path.parent), [STAGE_ONE] if path.name == RUNS else []
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = [result for name in (*first, path.name) for result in store.results(name)]
        notes += [str(warning.message) for warning in said]
        yield path.relative_to(folder).as_posix(), found
    if not files and (folder / SUMMARY).is_file():
        try:
            found = json.loads((folder / SUMMARY).read_bytes())
        except ValueError as error:
            notes.append(f"{folder / SUMMARY} cannot be read ({error}): give the training's command again.")
        else:
            yield SUMMARY, found if isinstance(found, list) else []


def _usable(results: Iterable[Any]) -> list[Result]:
    """Those of runs that were tested by environment; a search also has runs that were not."""
    return [result for result in results if _is_tested(result)]


def _is_tested(result: Any) -> bool:
    try:
        parts = list(result["test"].values())
        named = {"name", "seed"} <= set(result) and isinstance(result["settings"], dict)
        return named and bool(parts) and all(map(_is_measured, parts))
    except (TypeError, KeyError, AttributeError):
        return False


def _is_measured(part: dict[str, Any]) -> bool:
    return isinstance(part["accuracy"], (int, float)) and part["rows"] > 0


def _marked(result: Result) -> Result:
    """With the environments that it was not trained on; the paper's tables validate on all the others."""
    if "unseen" in result or not result.get("validation"):
        return result
    return {**result, "unseen": [name for name in result["test"] if name not in result["validation"]]}


def _of_card(model: SavedModel) -> Result:
    """What a Trainer measured of its model, as the card beside it says."""
    test = model.record.results
    unseen = [name for name, part in test.items() if part.get("unseen")]
    shares = {name: {k: v for k, v in part.items() if v is not None} for name, part in test.items()}
    return {"name": model.name, "seed": 0, "settings": {"seed": 0}, "test": shares, "unseen": unseen}


def _models(folder: Path, notes: list[str]) -> Iterator[SavedModel]:
    """The folder itself, where a Trainer left its model in it, and the folders in it."""
    inside = [place for parent in (folder, folder / MODELS) if parent.is_dir() for place in sorted(parent.iterdir())]
    for place in [folder, *inside]:
        has_model = (place / "config.json").is_file() or (place / "adapter_config.json").is_file()
        if not has_model or place.name.startswith(("_", ".")):
            continue
        name = place.resolve().name if place == folder else place.relative_to(folder).as_posix()
        try:
            yield SavedModel(name, place, kind_of(str(place)))
        except (ValueError, OSError) as error:
            notes.append(in_one_line(error))


def _other(folder: Path) -> str:
    """Which folder may be meant."""
    near = next((file.parent for file in sorted(folder.glob(f"*/{RUNS}.jsonl"))), None)
    return f"{near} does, so name that one" if near else "name the output folder of a training"
