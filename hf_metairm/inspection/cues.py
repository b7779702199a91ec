"""How strongly single columns, values and words predict the label, environment by environment.

Every cue is a number per row: a numeric column itself, or whether a column has some value, or whether a text has some
word, starts with it or ends in it. Its strength in an environment is its correlation with "the label is ℓ", with its
sign, for the label ℓ that it is tied to most. Whether the strengths of E environments differ by more than chance is
tested with Fisher's z: with z_e = artanh r_e and weights w_e = n_e − 3, Q = Σ w_e (z_e − z̄)² follows χ² with E − 1
degrees of freedom where all true correlations are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from .texts import text_cues


MOST_VALUES = 50  # a column with more distinct values is a number or a text, not a category
MOST_LABELS = 20  # rarer ones are not looked at
CONSTANT = 1e-24  # share of Σx² below which what varies around the mean is rounding


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


@dataclass(frozen=True)
class Measured:
    """A cue as it is measured, before anyone wants to see it: thousands of words in a thousand environments fit."""

    column: str
    what: str
    label: str
    r: np.ndarray  # (E,)
    p_value: float
    together: float  # the mean of r, each environment by its rows: what r is where it is the same in all of them

    @property
    def strongest(self) -> float:
        """Largest absolute strength in any environment."""
        return float(np.abs(self.r).max())

    @property
    def spread(self) -> float:
        """Distance between the largest and the smallest strength."""
        return float(self.r.max() - self.r.min())

    def cue(self, environment_names: list[str]) -> Cue:
        """With the environments' names."""
        return Cue(self.column, self.what, self.label, dict(zip(environment_names, self.r.tolist())), self.p_value)


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
        kept = np.sort(np.argsort(-np.bincount(labels, minlength=len(label_names)), kind="stable")[:MOST_LABELS])
        self.label_names, self.environment_names = [label_names[y] for y in kept], environment_names
        self._environments, self._shape = environments, (len(environment_names), len(kept) + 1)
        place = np.full(len(label_names), len(kept))  # all labels that are not looked at, in one last column
        place[kept] = np.arange(len(kept))
        self._cells = environments * self._shape[1] + place[labels]
        self._rows = np.bincount(environments, minlength=self._shape[0])
        self._of_label = self._table(self._cells)

    def count(self, column: str, what: str, rows: np.ndarray) -> Measured:
        """The strength of a cue that the rows of these numbers have, each once, and the others have not."""
        n, c = self._rows[:, None].astype(float), self._of_label
        both = self._table(self._cells[rows])
        k = np.bincount(self._environments[rows], minlength=self._shape[0])[:, None].astype(float)
        return self._measured(column, what, n * both - k * c, k * (n - k) * c * (n - c))

    def measure(self, column: str, what: str, values: np.ndarray) -> Measured:
        """The strength of the cue `values`, numbers of shape (n,)."""
        e, n = self._environments, np.maximum(self._rows, 1)
        x = values.astype(np.float64)
        x = x - (np.bincount(e, x, self._shape[0]) / n)[e]
        squares = np.bincount(e, x * x, self._shape[0])
        squares[squares <= CONSTANT * np.bincount(e, values.astype(np.float64) ** 2, self._shape[0])] = 0.0
        c = self._of_label
        scale = squares[:, None] * c * (self._rows[:, None] - c) / n[:, None]
        return self._measured(column, what, self._table(self._cells, x), scale)

    def _table(self, cells: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Sums by environment and label, float of shape (E, L)."""
        sums = np.bincount(cells, weights, self._shape[0] * self._shape[1]).astype(float)
        return sums.reshape(self._shape)[:, :-1]

    def _measured(self, column: str, what: str, covariance: np.ndarray, squared_scale: np.ndarray) -> Measured:
        r = np.divide(covariance, np.sqrt(squared_scale), out=np.zeros_like(covariance), where=squared_scale > 0)
        # With two labels both correlations are the same but for the sign; take the one that the cue speaks for.
        best = int(r.sum(0).argmax() if len(self.label_names) == 2 else np.abs(r).max(0).argmax())
        r = r[:, best]
        together = float((self._rows * r).sum() / self._rows.sum())
        return Measured(column, what, self.label_names[best], r, self._same_strength(r), together)

    def _same_strength(self, r: np.ndarray) -> float:
        weight = self._rows - 3.0
        usable = weight > 0
        if usable.sum() < 2:
            return 1.0
        z = np.arctanh(np.clip(r[usable], -0.999999, 0.999999))
        weight = weight[usable]
        q = (weight * (z - (weight * z).sum() / weight.sum()) ** 2).sum()
        half = torch.tensor([(usable.sum() - 1) / 2, q / 2], dtype=torch.float64)
        return float(torch.special.gammaincc(half[0], half[1]))


def column_cues(meter: CueMeter, name: str, values: pa.ChunkedArray, names: list[str] | None = None) -> list[Measured]:
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
            matches = plain == value if value is not None else values.is_null().to_numpy()
            shown = "(none)" if value is None else names[value] if names else repr(value)
            cues.append(meter.count(name, f"= {shown}", np.flatnonzero(matches)))
        return cues
    if numeric:
        numbers = np.nan_to_num(values.to_numpy(zero_copy_only=False).astype(np.float64), nan=0.0)
        return [meter.measure(name, "value", numbers)]
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return [meter.count(name, what, rows) for what, rows in text_cues(values)]
    return []
