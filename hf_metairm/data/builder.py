"""Datasets whose cue is drawn: the rows are dealt out to environments in which it is wrong more or less often."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .config import EnvironmentDatasetConfig, environment_name, rows_per_environment
from .draws import permutation
from .sourced import SourcedDatasetBuilder


class Rows(Protocol):
    """Rows of the original data, before anything is drawn."""

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> Any:
        """The rows of these numbers, in this order."""


class EnvironmentDatasetBuilder(SourcedDatasetBuilder):
    """Base of the builders that draw a cue for every row.

    The training rows are shuffled and dealt out to the training environments in turn; validation rows likewise; each
    test row stands once in every test environment, and only its cue is drawn anew.

    A subclass stands in a file of its own in `builders/`, under `@DATASETS.register`, and gives the constants of
    [`SourcedDatasetBuilder`] but for `MOST_ROWS`, `describe`, `_features`, `_read` and `_draw`.
    """

    config: EnvironmentDatasetConfig

    # What subclasses give ----------------------------------------------------------------------------------------

    def _read(self, files: dict[str, Path]) -> dict[str, Rows]:
        """The original rows of `"train"`, `"validation"` and `"test"`; no row in two of them."""
        raise NotImplementedError

    def _draw(self, split: str, rows: Any, p: np.ndarray, *stream: str) -> dict[str, Any]:
        """Draw the columns of `rows`: all but `environment`, arrays or lists of n values each.

        Args:
            split (`str`): names the draws.
            rows (`Rows`): n original rows.
            p (`np.ndarray`): float64 of shape (n,), the probability that the cue is not that of the label.
            *stream (`str`): names the draws of the cue beside the split; label noise does not depend on it.
        """
        raise NotImplementedError

    def environment_name(self, p: float) -> str:
        """What the environment is called whose cue disagrees with the label with probability `p`."""
        return environment_name(p)

    # How rows come to their environments -------------------------------------------------------------------------

    def _deal(self, split: str, rows: Rows, per_environment: int) -> dict[str, Any]:
        """Shuffle, and deal the rows out to the training environments in turn."""
        order = permutation(self.config.seed, split, "order", n=len(rows))
        rows = rows.take(order[: per_environment * len(self.config.environments)])
        return self._place(split, rows, np.tile(np.array(self.config.environments), per_environment))

    def _repeat(self, rows: Rows) -> dict[str, Any]:
        """The same rows, with the same labels, in every test environment; or each row in one of them."""
        if self.config.test_once:
            order = permutation(self.config.seed, "test", "order", n=len(rows))
            p = np.resize(np.array(self.config.test_environments), len(rows))
            return self._place("test", rows.take(order), p)
        parts = [
            self._place("test", rows, np.full(len(rows), p), self.environment_name(p))
            for p in self.config.test_environments
        ]
        return {name: _joined([part[name] for part in parts]) for name in parts[0]}

    def _place(self, split: str, rows: Rows, p: np.ndarray, *stream: str) -> dict[str, Any]:
        return {**self._draw(split, rows, p, *stream), "environment": [self.environment_name(value) for value in p]}

    def _splits(self, files: dict[str, Path]) -> Iterator[tuple[str, dict[str, Any]]]:
        roles, number = self._read(files), len(self.config.environments)
        most = rows_per_environment(self.config, len(roles["train"]), f"training {self.ROWS}")
        yield "train", self._deal("train", roles["train"], most)
        yield "validation", self._deal("validation", roles["validation"], len(roles["validation"]) // number)
        yield "test", self._repeat(roles["test"])

    def far_environment(self) -> str:
        """The last of the test environments."""
        return self.environment_name(self.config.test_environments[-1])

    def _estimated_bytes(self) -> int:
        """Every environment with all the rows of the largest known source."""
        small = self.data_source is not None and self.data_source.kind == "bundled"
        rows = (10_000 if small else 70_000) + (2_000 if small else 10_000) * len(self.config.test_environments)
        return rows * self.BYTES_PER_ROW


def _joined(parts: list[Any]) -> Any:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else list(chain.from_iterable(parts))
