"""How strongly single columns, values and words predict the label, environment by environment.

Every cue is a number per row: a numeric column itself, or whether a column has some value, or whether a text has some
word, starts with it or ends in it. Its strength in an environment is its correlation with "the label is ℓ", with its
sign, for the label ℓ that it is tied to most. Whether the strengths of E environments differ by more than chance is
tested with Fisher's z: with z_e = artanh r_e and weights w_e = n_e − 3, Q = Σ w_e (z_e − z̄)² follows χ² with E − 1
degrees of freedom where all true correlations are equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch


MOST_VALUES = 50  # a column with more distinct values is a number or a text, not a category
MOST_WORDS = 2_000
MOST_LABELS = 20  # rarer ones are not looked at
WORD_ROWS = 20  # rarer words tell nothing
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Cue:
    """One cue and its strength.

    Args:
        column (`str`): the column it comes from.
        what (`str`): the value, word or measure.
        label (`str`): the label that it is tied to most.
        strength (`dict[str, float]`): by environment, its correlation with that label, −1 … 1 (0 if constant).
        p_value (`float`): of the hypothesis that the strength is the same in all environments.
    """

    column: str
    what: str
    label: str
    strength: dict[str, float]
    p_value: float

    @property
    def strongest(self) -> float:
        """Largest absolute strength in any environment."""
        return max(abs(value) for value in self.strength.values())

    @property
    def spread(self) -> float:
        """Distance between the largest and the smallest strength."""
        return max(self.strength.values()) - min(self.strength.values())


class CueMeter:
    """Measures cues against the labels of one dataset.

    Args:
        labels (`np.ndarray`): integers of shape (n,), 0 … L − 1.
        label_names (`list[str]`): their L names.
        environments (`np.ndarray`): integers of shape (n,), 0 … E − 1.
        environment_names (`list[str]`): their E names.
    """

    def __init__(
        self, labels: np.ndarray, label_names: list[str], environments: np.ndarray, environment_names: list[str]
    ):
        kept = np.argsort(-np.bincount(labels, minlength=len(label_names)), kind="stable")[:MOST_LABELS]
        kept = np.sort(kept)
        self.label_names, self.environment_names = [label_names[y] for y in kept], environment_names
        self.rows = [np.flatnonzero(environments == e) for e in range(len(environment_names))]
        # Centred indicators of every label, per environment: (rows of e, L).
        indicator = labels[:, None] == kept
        self._centred = [indicator[rows] - indicator[rows].mean(0) if len(rows) else None for rows in self.rows]

    def measure(self, column: str, what: str, values: np.ndarray) -> Cue:
        """The strength of the cue `values`, numbers of shape (n,)."""
        r = np.zeros((len(self.rows), len(self.label_names)))
        for e, (rows, label) in enumerate(zip(self.rows, self._centred)):
            if label is None:
                continue
            x = values[rows].astype(np.float64)
            x = x - x.mean()
            scale = np.sqrt((x**2).sum() * (label**2).sum(0))
            r[e] = np.divide(x @ label, scale, out=np.zeros(len(scale)), where=scale > 0)
        # With two labels both correlations are the same but for the sign; take the one that the cue speaks for.
        best = int(np.abs(r).max(0).argmax())
        if len(self.label_names) == 2:
            best = int(r.sum(0).argmax())
        return Cue(
            column,
            what,
            self.label_names[best],
            {name: float(r[e, best]) for e, name in enumerate(self.environment_names)},
            self._same_strength(r[:, best]),
        )

    def _same_strength(self, r: np.ndarray) -> float:
        weight = np.array([len(rows) - 3.0 for rows in self.rows])
        usable = weight > 0
        if usable.sum() < 2:
            return 1.0
        z = np.arctanh(np.clip(r[usable], -0.999999, 0.999999))
        weight = weight[usable]
        q = (weight * (z - (weight * z).sum() / weight.sum()) ** 2).sum()
        half = torch.tensor([(usable.sum() - 1) / 2, q / 2], dtype=torch.float64)
        return float(torch.special.gammaincc(half[0], half[1]))


def column_cues(meter: CueMeter, name: str, values: pa.ChunkedArray, names: list[str] | None = None) -> list[Cue]:
    """All cues of one column of numbers, truth values or strings.

    Args:
        meter (`CueMeter`): the labels and environments.
        name (`str`): the column.
        values (`pa.ChunkedArray`): its n values; rows without a value count as 0, or as the value "(none)".
        names (`list[str]`, *optional*): of a `ClassLabel`'s values.
    """
    distinct = values.unique()
    if len(distinct) < 2:
        return []
    numeric = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if len(distinct) <= MOST_VALUES and not pa.types.is_floating(values.type):
        plain = values.to_numpy(zero_copy_only=False)
        cues = []
        for value in distinct.to_pylist():
            matches = plain == value if value is not None else np.array(values.is_null().to_pylist())
            shown = "(none)" if value is None else names[value] if names else repr(value)
            cues.append(meter.measure(name, f"= {shown}", matches))
        return cues
    if numeric:
        numbers = np.nan_to_num(values.to_numpy(zero_copy_only=False).astype(np.float64), nan=0.0)
        return [meter.measure(name, "value", numbers)]
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return list(_word_cues(meter, name, values.to_pylist()))
    return []


def _word_cues(meter: CueMeter, name: str, texts: list[str | None]) -> Iterator[Cue]:
    """What a text starts and ends with, as it is written up to the next space; its last word or mark; its words."""
    starts: dict[str, list[int]] = {}
    ends: dict[str, list[int]] = {}
    inside: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        pieces = (text or "").split()
        words = _WORD.findall((text or "").lower())
        for word in set(words):
            inside.setdefault(word, []).append(row)
        if pieces:
            starts.setdefault(pieces[0], []).append(row)
            for ending in {pieces[-1], words[-1]} if words else {pieces[-1]}:
                ends.setdefault(ending, []).append(row)
    for rows_of, what in ((starts, "starts with"), (ends, "ends in"), (inside, "has")):
        frequent = sorted(rows_of, key=lambda word: (-len(rows_of[word]), word))[:MOST_WORDS]
        for word in frequent:
            if len(rows_of[word]) < WORD_ROWS:
                break
            present = np.zeros(len(texts), bool)
            present[rows_of[word]] = True
            yield meter.measure(name, f"{what} {word!r}", present)
