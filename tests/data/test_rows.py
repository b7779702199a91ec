"""Some rows of a dataset, taken into memory: the same as what `datasets` selects."""

from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa
import pytest

from hf_metairm.data.files import to_dataset
from hf_metairm.data.rows import held_out, taken


@pytest.mark.parametrize("rows", [[], [3], [5, 0, 5, 2], list(range(6))[::-1]])
@pytest.mark.parametrize("selected", [False, True])
def test_taken_rows_are_the_selected_ones(rows, selected):
    chunks = [["a", None], ["bb", ""], ["ccc", "d"]]
    made = to_dataset(pa.table({"text": pa.chunked_array(chunks), "label": [0, 1, 0, 1, 1, 0], "list": [[1], []] * 3}))
    made = made.cast_column("label", datasets.ClassLabel(names=["no", "yes"]))
    if selected:
        made = made.select([5, 4, 3, 2, 1, 0])
    found = taken(made, np.array(rows, np.int64))
    assert found.features == made.features
    assert found.to_list() == made.select(rows).to_list()


@pytest.mark.parametrize(("count", "share", "seed"), [(2, 0.5, 0), (10, 0.2, 0), (11, 0.2, 3), (1000, 0.33, 7)])
def test_rows_are_held_out_as_datasets_does_it(count, share, seed):
    parts = datasets.Dataset.from_dict({"row": range(count)}).train_test_split(test_size=share, seed=seed)
    kept, tested = held_out(count, share, seed)
    assert (kept.tolist(), tested.tolist()) == (parts["train"]["row"][:], parts["test"]["row"][:])
