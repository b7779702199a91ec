"""What a table of the paper is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..experiments.search import Range
from .published import Published


@dataclass(frozen=True)
class Row:
    """
    A row of a table: one algorithm with its settings.

    Args:
        name (`str`): in the table.
        algorithm (`str`): a key of `hf_metairm.trainer.ALGORITHMS`.
        fields (`Mapping`): of the algorithm's Config, beside the batch size.
        hidden_size (`int`): units in each hidden layer.
        steps (`int`): optimizer steps.
        dataset_changes (`Mapping`): fields of the dataset's config that differ from the table's.
        reference (`bool`): whether it sees no spurious cue: what could be reached, not a contender.
        small_batch (`Mapping`): `steps` and fields of the Config that differ where the batch is not the full one.
    """

    name: str
    algorithm: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    hidden_size: int = 256
    steps: int = 501
    dataset_changes: Mapping[str, Any] = field(default_factory=dict)
    reference: bool = False
    small_batch: Mapping[str, Any] = field(default_factory=dict)

    def at(self, batch: int | str) -> Row:
        """The row as it is trained with batches of that size."""
        return self if batch == "full" else changed(self, **self.small_batch)


@dataclass(frozen=True)
class Table:
    """
    A table of the paper.

    Args:
        name (`str`): on the command line and in the results.
        title (`str`): for people.
        dataset (`str`): `"colored_mnist"` or `"punctuated_sst2"`.
        config (`str`): of the dataset.
        rows (`tuple[Row, ...]`): in the table's order.
        environments (`tuple[str, ...]`): tested on and shown, the unseen one last.
        model (`str`): what is trained: a `"perceptron"`, or in `"two stages"` a head on a fine-tuned encoder.
        expectation (`bool`): whether a test environment is the expectation over its draws, see [`expected`].
        dataset_changes (`Mapping`): fields of the dataset's config that differ in all rows.
        constants (`Mapping[str, float]`): rows that need no training: accuracy in percent, in every environment.
        published (`Mapping[str, Published]`): by row name.
        note (`str`): what a reader must know beside the results.
        curve (`bool`): whether accuracy over all of p = 0.1 … 0.9 is measured, and drawn.
        searched (`Mapping[str, Range]`): what is searched beside the algorithms' own hyper-parameters.
    """

    name: str
    title: str
    dataset: str
    config: str
    rows: tuple[Row, ...]
    environments: tuple[str, ...] = ("p=0.1", "p=0.2", "p=0.9")
    model: str = "perceptron"
    expectation: bool = False
    dataset_changes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    published: Mapping[str, Published] = field(default_factory=dict)
    note: str = ""
    curve: bool = False
    searched: Mapping[str, Range] = field(default_factory=dict)

    def row(self, name: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)


def changed(row: Row, name: str | None = None, **changes: Any) -> Row:
    """A row with some fields of its Config, or some of its own, changed, whatever the batch."""
    small_batch = {key: value for key, value in row.small_batch.items() if key not in changes}
    own = {key: changes.pop(key) for key in ("steps", "hidden_size") if key in changes}
    fields = {**row.fields, **changes}
    return replace(row, name=name or row.name, fields=fields, small_batch=small_batch, **own)
