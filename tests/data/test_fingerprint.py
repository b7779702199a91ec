"""The digest of a dataset: the same for the same rows wherever they come from, another for any other rows."""

from __future__ import annotations

import datetime
import io

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hf_metairm.data import read_table
from hf_metairm.data.files import to_dataset
from hf_metairm.data.fingerprint import fingerprint


TEXT = st.none() | st.text(max_size=4)
VALUES = st.sampled_from(
    [
        (pa.string(), TEXT),
        (pa.int64(), st.none() | st.integers(0, 3)),
        (pa.bool_(), st.none() | st.booleans()),
        (pa.float32(), st.none() | st.floats(0, 2, width=32)),
        (pa.date32(), st.none() | st.dates(datetime.date(2020, 1, 1), datetime.date(2020, 1, 3))),
        (pa.list_(pa.string()), st.none() | st.lists(TEXT, max_size=2)),
        (pa.list_(pa.int64(), 2), st.none() | st.lists(st.integers(0, 2), min_size=2, max_size=2)),
        (pa.struct([("a", pa.string()), ("b", pa.int8())]),
         st.none() | st.fixed_dictionaries({"a": TEXT, "b": st.none() | st.integers(0, 2)})),
    ]
)  # fmt: skip
SOME = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@st.composite
def columns(draw):
    kind, value = draw(VALUES)
    rows = st.lists(value, min_size=1, max_size=6)
    return kind, draw(rows), draw(rows)


def rows_of(values, kind, cuts=()):
    chunks = [values[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(values)])]
    return to_dataset(pa.table({"x": pa.chunked_array([pa.array(chunk, kind) for chunk in chunks], kind)}))


@SOME
@given(columns(), st.data())
def test_equal_values_and_no_others_have_the_same(column, data):
    kind, left, right = column
    whole = fingerprint(rows_of(left, kind))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(left)), max_size=3)))
    assert fingerprint(rows_of(left, kind, cuts)) == whole
    shifted = rows_of([*right, *left, *right], kind).select(range(len(right), len(right) + len(left)))
    assert fingerprint(shifted) == whole
    order = np.random.default_rng(0).permutation(len(left))
    taken = rows_of([left[place] for place in order], kind).select(np.argsort(order))
    assert fingerprint(taken) == whole
    assert (fingerprint(rows_of(right, kind)) == whole) == (left == right)


def test_what_lies_under_a_missing_value_says_nothing():
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1, 7]))])
    assert fingerprint(to_dataset(pa.table({"x": hidden}))) == fingerprint(rows_of([1, None], pa.int64()))


def test_it_is_of_the_rows_and_not_of_the_file(tmp_path):
    content = "text,site\na,x\nb,y\n"
    for place in ("one.csv", "other.csv", "rows.csv"):
        (tmp_path / place).write_text(content if place != "rows.csv" else "site,text\nx,a\ny,b\n")
    one, other, reordered = (
        fingerprint(read_table(tmp_path / place)) for place in ("one.csv", "other.csv", "rows.csv")
    )
    assert one == other == reordered
    (tmp_path / "one.csv").write_text(content.replace("b,y", "b,x"))
    changed = read_table(tmp_path / "one.csv")
    assert fingerprint(changed) != one
    assert fingerprint(changed, ["text"]) == fingerprint(read_table(tmp_path / "other.csv"), ["text"])
    read_table(tmp_path / "other.csv").save_to_disk(tmp_path / "saved")
    assert fingerprint(datasets.load_from_disk(tmp_path / "saved")) == one


@pytest.mark.parametrize(
    "other",
    [
        {"y": ["a", "b"]},
        {"x": ["b", "a"]},
        {"x": ["ab", ""]},
        {"x": ["a", "b", ""]},
        {"x": ["a"]},
        {"x": [97, 98]},
        {"x": ["a", "b"], "y": [1, 2]},
    ],
)
def test_another_table_has_another(other):
    assert fingerprint(to_dataset(pa.table(other))) != fingerprint(to_dataset(pa.table({"x": ["a", "b"]})))


def test_names_of_classes_count_and_the_width_of_offsets_does_not():
    rows = datasets.Dataset.from_dict({"x": [0, 1]})
    left, right = (rows.cast_column("x", datasets.ClassLabel(names=names)) for names in (["a", "b"], ["b", "a"]))
    assert fingerprint(left) != fingerprint(right)
    short, wide = (to_dataset(pa.table({"x": pa.array(["a"], kind)})) for kind in (pa.string(), pa.large_string()))
    assert fingerprint(short) == fingerprint(wide)


def test_pictures_are_their_files_bytes(tmp_path):
    def picture(shade, name):
        file = io.BytesIO()
        Image.new("L", (2, 2), shade).save(file, "png")
        (tmp_path / name).write_bytes(file.getvalue())
        return {"path": str(tmp_path / name), "bytes": None}

    def rows(*cells):
        return datasets.Dataset.from_dict({"x": list(cells)}, datasets.Features({"x": datasets.Image()}))

    black, same, grey = (picture(shade, name) for shade, name in ((0, "a.png"), (0, "b.png"), (9, "c.png")))
    assert fingerprint(rows(black)) == fingerprint(rows(same)) != fingerprint(rows(grey))
    held = {"path": None, "bytes": (tmp_path / "a.png").read_bytes()}
    assert fingerprint(rows(held)) == fingerprint(rows(black))


def test_a_column_that_is_not_there():
    with pytest.raises(ValueError, match="There is no column 'z'; the columns are x"):
        fingerprint(rows_of(["a"], pa.string()), ["z"])
