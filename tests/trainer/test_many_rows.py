"""Many rows of many environments: no column becomes a list of Python objects, no environment a mask over all rows."""

from __future__ import annotations

import tracemalloc

import datasets
import numpy as np
import pyarrow as pa
import pytest

from hf_metairm.environments import EnvironmentSampler, read_environments
from hf_metairm.trainer.checks import check_labels
from hf_metairm.trainer.guessing import risks_of_constants

from .toys import Classifier


ROWS, SITES = 200_000, 100
OBJECT = 50  # bytes, the least that a string takes


@pytest.fixture(scope="module")
def rows():
    """In several chunks, as they are memory-mapped."""
    draws = np.random.default_rng(0)
    ids = np.concatenate([np.arange(SITES), draws.integers(SITES, size=ROWS - SITES)])
    names = pa.array([f"site {k:03}" for k in range(SITES)])
    table = pa.table({"environment": names.take(pa.array(ids)), "label": draws.integers(3, size=ROWS)})
    batches = table.to_batches(1_000)
    return datasets.Dataset(pa.Table.from_batches(batches)), ids, table["label"].to_numpy()


def bytes_per_row(function):
    """The most memory that a call had of Python's and NumPy's, and what it returned."""
    tracemalloc.start()
    try:
        found = function()
        return tracemalloc.get_traced_memory()[1] / ROWS, found
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shuffled", [False, True])
def test_columns_are_read_as_arrays(rows, shuffled):
    dataset, ids, labels = rows
    if shuffled:
        order = np.random.default_rng(1).permutation(ROWS)
        dataset, ids, labels = dataset.select(order), ids[order], labels[order]
    taken, found = bytes_per_row(lambda: read_environments(dataset))
    assert taken < OBJECT
    assert found.names == tuple(f"site {k:03}" for k in range(SITES))
    assert np.array_equal(found.ids, ids)
    taken, constants = bytes_per_row(lambda: risks_of_constants(dataset, "environment"))
    assert taken < OBJECT
    shares = np.bincount(labels[ids == 7], minlength=3) / (ids == 7).sum()
    assert constants["site 007"] == pytest.approx(-(shares * np.log(shares)).sum())
    taken, _ = bytes_per_row(lambda: check_labels(dataset, WithClasses(3), []))
    assert taken < OBJECT
    with pytest.raises(ValueError, match="tells 2 classes apart"):
        check_labels(dataset, WithClasses(2), [])


def test_the_sampler_keeps_arrays_of_every_environment(rows):
    def begin():
        sampler = EnvironmentSampler(rows[1], rows_per_block=2 * SITES)
        blocks = iter(sampler)
        return sampler, blocks, [next(blocks) for _ in range(2 * SITES)]

    taken, (_, _, first) = bytes_per_row(begin)
    assert taken < OBJECT
    assert np.bincount(rows[1][first]).tolist() == [2] * SITES


def test_labels_that_a_selection_leaves_out_are_not_looked_at():
    dataset = datasets.Dataset.from_dict({"label": [0, 5, 1, 0]})
    check_labels(dataset.select([3, 0, 2]), WithClasses(2), [])
    with pytest.raises(ValueError, match="1 of 2 rows"):
        check_labels(dataset.select([3, 1]), WithClasses(2), [])


class WithClasses(Classifier):
    """A model that says how many classes it tells apart."""

    def __init__(self, classes: int):
        super().__init__()
        self.config = type("Config", (), {"num_labels": classes})
