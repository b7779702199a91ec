"""A look at anyone's environment-labelled data before training: what differs between environments, and what cannot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import datasets
import numpy as np
import pyarrow as pa

from ..data.images import decode_images
from ..data.words import arrow_column, as_numbers, read_words
from ..ordering import listed
from .cues import Cue, CueMeter, column_cues


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
        stable (`list[Cue]`): cues that are as strong everywhere, strongest first.
        warnings (`list[str]`): one sentence each.
        skipped (`list[str]`): columns that were not looked at.
    """

    environments: list[EnvironmentShare]
    differing: list[Cue] = field(default_factory=list)
    stable: list[Cue] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def to_dict(self) -> dict:
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
    for column in (environment_column, label_column):
        if column not in dataset.column_names:
            raise ValueError(f"There is no column {column!r}; the columns are {', '.join(dataset.column_names)}.")
    if environment_column == label_column:
        raise ValueError(f"environment_column and label_column are both {label_column!r}; name two columns.")
    if not len(dataset):
        raise ValueError("The dataset has no rows.")
    environments, environment_names = read_words(dataset, environment_column)
    unknown = [name for name in unseen_environments if name not in environment_names]
    if unknown:
        raise ValueError(f"No rows of environment {unknown[0]!r}; there are {listed(environment_names)}.")
    if unseen_environments:
        seen = ~np.isin(environments, [environment_names.index(name) for name in unseen_environments])
        if not seen.any():
            raise ValueError("Every environment is unseen, so nothing is left to look at.")
        dataset = dataset.select(np.flatnonzero(seen))
        environments, environment_names = read_words(dataset, environment_column)
    labels, label_names = read_words(dataset, label_column, label=True)
    if len(label_names) > 1000:
        raise ValueError(
            f"Column {label_column!r} has {len(label_names):,} distinct values, so it is no class label; name another."
        )
    shares = [
        EnvironmentShare(
            name,
            int((environments == e).sum()),
            {label: float((labels[environments == e] == y).mean()) for y, label in enumerate(label_names)},
        )
        for e, name in enumerate(environment_names)
    ]
    report = Inspection(shares)
    if len(dataset) > CUE_ROWS:
        rows = _some(len(dataset), CUE_ROWS)
        dataset, labels, environments = dataset.select(rows), labels[rows], environments[rows]
    meter = CueMeter(labels, label_names, environments, environment_names)
    cues: list[Cue] = []
    for column in dataset.column_names:
        if column not in (environment_column, label_column):
            found = _cues(dataset, column, meter, (labels, label_names, environments, environment_names))
            if found is None:
                report.skipped.append(column)
            else:
                cues += found
    threshold = 0.001 / max(1, len(cues))  # Bonferroni: all cues are looked at, so chance has that many tries
    differing = [cue for cue in cues if cue.p_value < threshold and cue.strongest >= STRONG / 2]
    stable = [cue for cue in cues if cue.p_value >= threshold and cue.strongest >= STRONG]
    report.differing = sorted(differing, key=lambda cue: -cue.spread)[:most_cues]
    report.stable = sorted(stable, key=lambda cue: -cue.strongest)[:most_cues]
    report.warnings = _warnings(report, label_names)
    return report


def _some(available: int, most: int) -> np.ndarray:
    """All rows, or so many at random: evenly spaced ones could miss sites that come in turn."""
    if available <= most:
        return np.arange(available)
    return np.sort(np.random.default_rng(0).choice(available, most, replace=False))


def _cues(dataset: datasets.Dataset, column: str, meter: CueMeter, codes: tuple) -> list[Cue] | None:
    feature = dataset.features[column]
    if isinstance(feature, datasets.Image):
        labels, label_names, environments, environment_names = codes
        rows = _some(len(dataset), IMAGE_ROWS)
        try:
            pixels = decode_images(arrow_column(dataset.select(rows), column))
        except (ValueError, OSError):
            return None  # files elsewhere, or pictures of several sizes
        meter = CueMeter(labels[rows], label_names, environments[rows], environment_names)
        means = pixels.mean(axis=(1, 2))
        return [
            meter.measure(column, f"mean {color}", means[:, c]) for c, color in enumerate(("red", "green", "blue"))
        ]
    values = as_numbers(arrow_column(dataset, column))
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        return None
    names = list(feature.names) if isinstance(feature, datasets.ClassLabel) else None
    return column_cues(meter, column, values, names)


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
    return warnings
