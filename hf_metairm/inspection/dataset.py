"""A look at anyone's environment-labelled data before training: what differs between environments, and what cannot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from ..data.images import decode_images
from ..data.rows import taken
from ..data.words import arrow_column, as_numbers, check_columns, read_words
from ..ordering import listed
from .cues import Cue, CueMeter, Measured, column_cues
from .difficulty import Difficulty, difficulty_warnings, measure_difficulty


STRONG = 0.1  # correlations below it are not worth a warning
TINY_ROWS, TINY_PART = 100, 0.05
CUE_ROWS, IMAGE_ROWS = 200_000, 10_000  # cues are measured on so many rows at most, drawn at random
MOST_WARNINGS = 5  # of one kind


@dataclass(frozen=True)
class EnvironmentShare:
    """Rows of one environment, and the part of them that each label has."""

    name: str
    rows: int
    labels: dict[str, float]


@dataclass
class Inspection:
    """What [`inspect_dataset`] found.

    Args:
        environments (`list[EnvironmentShare]`): rows and label shares.
        differing (`list[Cue]`): cues whose strength differs between environments, by how far.
        stable (`list[Cue]`): cues that are not shown to differ, strongest first.
        warnings (`list[str]`): one sentence each.
        skipped (`list[str]`): columns that were not looked at.
        difficulty (`list[Difficulty]`): how well words tell the label in each large environment; empty without a text.
    """

    environments: list[EnvironmentShare]
    differing: list[Cue] = field(default_factory=list)
    stable: list[Cue] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    difficulty: list[Difficulty] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts and lists, for JSON."""
        return dataclasses.asdict(self)


def inspect_dataset(
    dataset: datasets.Dataset,
    *,
    environment_column: str = "environment",
    label_column: str = "label",
    most_cues: int = 10,
    unseen_environments: Sequence[str] = (),
) -> Inspection:
    """Say how an environment-labelled dataset's environments differ.

    Args:
        dataset (`datasets.Dataset`):
            The rows of all environments, as they would be trained on.
        environment_column (`str`, *optional*, defaults to `"environment"`):
            Names each row's environment.
        label_column (`str`, *optional*, defaults to `"label"`):
            The class to be predicted: at most 1,000 distinct values.
        most_cues (`int`, *optional*, defaults to `10`):
            How many cues of each kind to report.
        unseen_environments (`Sequence[str]`, *optional*):
            Environments that will not be trained on: their rows are left out.

    Returns:
        [`Inspection`].

    Raises:
        `ValueError`: a column is missing or has rows without a value, the dataset is empty, or the label is no class.
    """
    check_columns(dataset, environment_column=environment_column, label_column=label_column)
    if not len(dataset):
        raise ValueError("The dataset has no rows.")
    if most_cues < 0:
        raise ValueError(f"most_cues={most_cues} is refused: use a number from 0 on.")
    rows = seen_rows(dataset, environment_column, unseen_environments)
    named = taken(dataset.select_columns([environment_column, label_column]), rows)
    environments, environment_names = read_words(named, environment_column)
    labels, label_names = read_words(named, label_column, label=True)
    if len(label_names) > 1000:
        raise ValueError(
            f"Column {label_column!r} has {len(label_names):,} distinct values, so it is no class label; name another."
        )
    report = Inspection(_shares(labels, label_names, environments, environment_names))
    some = _some(len(rows), CUE_ROWS)
    codes = _Codes(rows[some], labels[some], label_names, environments[some], environment_names)
    cues: list[Measured] = []
    for column in dataset.column_names:
        if column not in (environment_column, label_column):
            found = _cues(dataset, column, codes)
            if found is None:
                report.skipped.append(column)
            else:
                cues += found
    threshold = 0.001 / max(1, len(cues))  # Bonferroni: all cues are looked at, so chance has that many tries
    differing = [cue for cue in cues if cue.p_value < threshold and cue.strongest >= STRONG / 2]
    stable = [cue for cue in cues if cue.p_value >= threshold and abs(cue.together) >= STRONG]
    differing = sorted(differing, key=lambda cue: -cue.spread)[:most_cues]
    stable = sorted(stable, key=lambda cue: -abs(cue.together))[:most_cues]
    report.differing, report.stable = ([cue.cue(environment_names) for cue in found] for found in (differing, stable))
    report.difficulty = measure_difficulty(dataset, rows, labels, environments, environment_names)
    report.warnings = _warnings(report, label_names)
    return report


def seen_rows(dataset: datasets.Dataset, environment_column: str, unseen_environments: Sequence[str]) -> np.ndarray:
    """
    The numbers of the rows that are of no unseen environment.

    Raises:
        ValueError: there are no rows of an unseen environment, or no others.
    """
    if not unseen_environments:
        return np.arange(len(dataset))
    environments, names = read_words(dataset, environment_column)
    unknown = next((name for name in unseen_environments if name not in names), None)
    if unknown is not None:
        raise ValueError(f"No rows of environment {unknown!r}; there are {listed(names)}.")
    unseen = np.isin(environments, [names.index(name) for name in unseen_environments])
    if unseen.all():
        raise ValueError("Every environment is unseen, so nothing is left to look at.")
    return np.flatnonzero(~unseen)


def _shares(
    labels: np.ndarray, label_names: list[str], environments: np.ndarray, environment_names: list[str]
) -> list[EnvironmentShare]:
    cells = environments * len(label_names) + labels
    counts = np.bincount(cells, minlength=len(environment_names) * len(label_names))
    counts = counts.reshape(len(environment_names), len(label_names))
    rows = counts.sum(1)
    shares = counts / np.maximum(rows, 1)[:, None]
    return [
        EnvironmentShare(name, int(rows[e]), dict(zip(label_names, shares[e].tolist())))
        for e, name in enumerate(environment_names)
    ]


def _some(available: int, most: int) -> np.ndarray:
    """All rows, or so many at random: evenly spaced ones could miss sites that come in turn."""
    if available <= most:
        return np.arange(available)
    return np.sort(np.random.default_rng(0).choice(available, most, replace=False))


@dataclass(frozen=True)
class _Codes:
    """The rows that cues are measured on: their numbers in the dataset, their labels and their environments."""

    rows: np.ndarray
    labels: np.ndarray
    label_names: list[str]
    environments: np.ndarray
    environment_names: list[str]

    def some(self, most: int) -> _Codes:
        some = _some(len(self.rows), most)
        parts = (self.labels[some], self.label_names, self.environments[some], self.environment_names)
        return _Codes(self.rows[some], *parts)

    @cached_property
    def meter(self) -> CueMeter:
        return CueMeter(self.labels, self.label_names, self.environments, self.environment_names)


def _cues(dataset: datasets.Dataset, column: str, codes: _Codes) -> list[Measured] | None:
    feature = dataset.features[column]
    if isinstance(feature, datasets.Image):
        codes = codes.some(IMAGE_ROWS)
        try:
            pixels = decode_images(arrow_column(dataset.select(codes.rows), column))
        except (ValueError, OSError):
            return None  # files elsewhere, or pictures of several sizes
        means = pixels.mean(axis=(1, 2))
        return [
            codes.meter.measure(column, f"mean {color}", means[:, c])
            for c, color in enumerate(("red", "green", "blue"))
        ]
    values = as_numbers(arrow_column(taken(dataset.select_columns([column]), codes.rows), column))
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        return None
    names = list(feature.names) if isinstance(feature, datasets.ClassLabel) else None
    return column_cues(codes.meter, column, values, names)


def _warnings(report: Inspection, label_names: list[str]) -> list[str]:
    warnings = []
    environments = report.environments
    if len(environments) == 1:
        warnings.append(
            f"There is one environment, {environments[0].name!r}: invariance takes at least two to compare."
        )
    largest = max(share.rows for share in environments)
    tiny = [
        f"Environment {share.name!r} is tiny ({share.rows:,} rows; the largest has {largest:,}): its risk is mostly "
        "noise, and its few rows are repeated very often."
        for share in environments
        if share.rows < TINY_ROWS or share.rows < TINY_PART * largest
    ]
    lacking = []
    for share in environments:
        missing = [label for label in label_names if share.labels[label] == 0]
        if missing:
            lacking.append(f"Environment {share.name!r} has no row with label {', '.join(missing[:5])}.")
    for found, what in ((tiny, "are tiny"), (lacking, "lack labels")):
        warnings += found[:MOST_WARNINGS]
        if len(found) > MOST_WARNINGS:
            warnings.append(f"{len(found) - MOST_WARNINGS:,} more environments {what}.")
    if len(environments) > 1 and not report.differing:
        warnings.append(
            "The environments look alike: no cue differs in strength by more than chance, so there is nothing that an "
            "invariant method could learn to drop."
        )
    return warnings + difficulty_warnings(report.difficulty)
