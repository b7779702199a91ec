"""How hard the label is in each environment alone: equal risks are the wrong aim where the task is harder in one.

In every environment a classifier reads which words a text has, and is judged on rows that it was not fitted to. Marks
and tags are no words, since shortcuts are often made of them; a shortcut that *is* a word makes an environment look
easier, too. All environments give the same number of rows, because fewer rows to learn from look like a harder task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import datasets
import numpy as np
import pyarrow as pa

from ..data.rows import taken
from ..data.words import arrow_column, as_numbers
from .bag_of_words import cross_validated
from .cues import MOST_LABELS, MOST_VALUES
from .regression import FOLDS
from .texts import shortened


MOST_ROWS, MOST_ENVIRONMENTS, MOST_CHARACTERS = 3_000, 12, 1_000
FEWEST_ROWS, FEWEST_PART = 200, 1 / 5  # of what the largest gives; environments with fewer are left out
SHARED_ROWS = (1 + FOLDS / (FOLDS - 1)) ** 0.5  # Nadeau & Bengio 2003: the folds' models share rows
STANDARD_ERRORS, POINTS = 3.0, 0.05  # the extremes differ by more than both


@dataclass(frozen=True)
class Difficulty:
    """How well words tell the label in one environment.

    Args:
        environment (`str`): its name.
        rows (`int`): that were drawn.
        accuracy (`float`): share of these that is told rightly, each by a model that was fitted without it.
        standard_error (`float`): of the accuracy: half of Wilson's interval with z = 1, and one and a half times that,
            because other rows would have made other models as well.
        risk (`float`): mean negative log-likelihood of the same models, in nats.
        most_frequent (`float`): share of the most frequent class, which is what knowing no word gets.
    """

    environment: str
    rows: int
    accuracy: float
    standard_error: float
    risk: float
    most_frequent: float


def measure_difficulty(
    dataset: datasets.Dataset,
    rows: np.ndarray,
    labels: np.ndarray,
    environments: np.ndarray,
    environment_names: Sequence[str],
) -> list[Difficulty]:
    """Say how hard the label is in each of the largest environments.

    At most 12 environments and 3,000 rows of each are drawn, and 1,000 characters of each text are read, so the time
    is bounded however many rows there are: `inspect` stays under a minute for a million rows of a thousand sites.

    Args:
        dataset (`datasets.Dataset`):
            Of its columns of more than 50 distinct strings, the one with the longest is the text.
        rows (`np.ndarray`):
            Numbers of the n rows that are looked at.
        labels (`np.ndarray`):
            Their classes; rows of all but the 20 most frequent are left out.
        environments (`np.ndarray`):
            Their environments, 0 … E − 1.
        environment_names (`Sequence[str]`):
            The E names.

    Returns:
        `list[Difficulty]`: in the order of the names; none where fewer than two environments have enough rows, or
        where one of them has no text, or no word that 5 rows have.
    """
    frequent = np.argsort(-np.bincount(labels), kind="stable")[:MOST_LABELS]
    usable = np.flatnonzero(np.isin(labels, frequent))
    drawn = _draw(environments[usable], len(environment_names))
    if len(drawn) < 2:
        return []
    texts = _texts(dataset, rows[usable[np.concatenate(list(drawn.values()))]])
    found = []
    for number, (e, some) in enumerate(drawn.items()):
        n = len(some)  # the same for all
        classes = np.unique(labels[usable[some]], return_inverse=True)[1]
        judged = cross_validated(texts[number * n : (number + 1) * n], classes)
        if judged is None:
            return []
        accuracy, risk = float(judged[0].mean()), float(judged[1].mean())
        error = SHARED_ROWS * (accuracy * (1 - accuracy) / n + 1 / (4 * n * n)) ** 0.5 / (1 + 1 / n)
        most_frequent = float(np.bincount(classes).max() / n)
        found.append(Difficulty(environment_names[e], n, accuracy, error, risk, most_frequent))
    return found


def difficulty_warnings(found: list[Difficulty]) -> list[str]:
    """
    One sentence where the easiest and the hardest environment differ by more than five points and more than chance:
    three standard errors between two environments; as unlikely between the extremes of more.

    Args:
        found (`list[Difficulty]`): by environment; may be empty.
    """
    if len(found) < 2:
        return []
    easy, hard = max(found, key=lambda one: one.accuracy), min(found, key=lambda one: one.accuracy)
    pairs = len(found) * (len(found) - 1) / 2
    errors = -NormalDist().inv_cdf(NormalDist().cdf(-STANDARD_ERRORS) / pairs)
    error = (easy.standard_error**2 + hard.standard_error**2) ** 0.5
    if easy.accuracy - hard.accuracy <= max(POINTS, errors * error):
        return []
    easiest, hardest = (
        f"{one.environment!r} ({100 * one.accuracy:.1f} % right, {one.risk:.2f} nats; most frequent class "
        f"{100 * one.most_frequent:.1f} %)"
        for one in (easy, hard)
    )
    return [
        f"The environments differ in difficulty: by its words the label is easiest to tell in {easiest} and hardest "
        f"in {hardest}, so methods that make risks equal fight the task as well as the shortcut, while `hf-metairm "
        "tune` chooses by a rule that looks at the side a shortcut takes, not at equal risks."
    ]


def _draw(environments: np.ndarray, count: int) -> dict[int, np.ndarray]:
    """Equally many random rows of each of the largest environments, in random order."""
    sizes = np.bincount(environments, minlength=count)
    fewest = max(FEWEST_ROWS, FEWEST_PART * min(MOST_ROWS, sizes.max(initial=0)))
    largest = [int(e) for e in np.argsort(-sizes, kind="stable")[:MOST_ENVIRONMENTS] if sizes[e] >= fewest]
    rng, n = np.random.default_rng(0), min([MOST_ROWS, *sizes[largest]])
    return {e: rng.choice(np.flatnonzero(environments == e), n, replace=False) for e in sorted(largest)}


def _texts(dataset: datasets.Dataset, rows: np.ndarray) -> list[str]:
    """The longest texts that these rows have in one column; empty ones where no column has texts."""
    best = [""] * len(rows)
    for name, feature in dataset.features.items():
        if getattr(feature, "dtype", None) not in ("string", "large_string"):
            continue
        values = as_numbers(arrow_column(taken(dataset.select_columns([name]), rows), name))
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        if is_text and len(values.unique()) > MOST_VALUES:
            best = max(best, list(shortened(values, MOST_CHARACTERS)), key=lambda texts: sum(map(len, texts)))
    return best
