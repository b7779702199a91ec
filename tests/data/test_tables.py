"""Any table of strings, written by whichever library, comes back as it was."""

from __future__ import annotations

import csv
import gzip
import json

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hf_metairm.data import ReadOptions, encode_labels, read_table, read_words
from hf_metairm.data.files import to_dataset


FEW = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Every character of Unicode but lone surrogates, which no encoding can write, and NUL, which is not in texts.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
WORDS = st.sampled_from(
    ["", " ", "None", "NA", "nan", "null", "010", "1e3", "1.0", "True", '"', '""', "a,b", "2020-01-01"]
)
NAMES = st.lists(TEXT.filter(str.strip), min_size=2, max_size=4, unique=True)


@st.composite
def tables(draw, value=TEXT | WORDS, names=NAMES):
    header = draw(names)
    rows = draw(st.lists(st.tuples(*[value] * len(header)), min_size=1, max_size=6))
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


def without_bare_cr(table):
    """Writers on the `csv` of Python before 3.13 leave a lone CR bare where lines end in LF: no reader can tell it."""
    assume(not any("\r" in word for words in [table, *table.values()] for word in words))


def came_back(path, table, options=ReadOptions()):  # noqa: B008
    found = read_table(path, options)
    assert found.column_names == list(table)
    assert {name: found[name][:] for name in table} == table


@FEW
@given(tables(), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_csv_of_the_standard_library(tmp_path, table, line_end, quote_all, encoding):
    path = tmp_path / "rows.csv"
    if line_end == "\n" and not quote_all:
        without_bare_cr(table)
    with path.open("w", newline="", encoding=encoding) as file:
        quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
        writer = csv.writer(file, lineterminator=line_end, quoting=quoting)
        writer.writerow(table)
        writer.writerows(zip(*table.values()))
    came_back(path, table)


@FEW
@given(tables(), st.sampled_from([None, "gzip"]))
def test_csv_of_pandas(tmp_path, table, compression):
    without_bare_cr(table)
    path = tmp_path / ("rows.csv.gz" if compression else "rows.csv")
    pd.DataFrame(table).to_csv(path, index=False, compression=compression)
    came_back(path, table)


@FEW
@given(tables())
def test_csv_of_pyarrow(tmp_path, table):
    pyarrow.csv.write_csv(pa.table(table), tmp_path / "rows.csv")
    came_back(tmp_path / "rows.csv", table)


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\r\n"), max_size=12)


@FEW
@given(tables(PLAIN | WORDS, st.lists(PLAIN.filter(str.strip), min_size=2, max_size=4, unique=True)))
def test_tsv_without_quotation_marks(tmp_path, table):
    lines = ["\t".join(row) for row in [list(table), *zip(*table.values())]]
    (tmp_path / "rows.tsv").write_bytes("\n".join(lines).encode() + b"\n")
    came_back(tmp_path / "rows.tsv", table)


@FEW
@given(tables())
def test_tsv_with_quotation_marks(tmp_path, table):
    without_bare_cr(table)
    pd.DataFrame(table).to_csv(tmp_path / "rows.tsv", index=False, sep="\t")
    came_back(tmp_path / "rows.tsv", table, ReadOptions(quoted=True))


@FEW
@given(tables(), st.booleans())
def test_json(tmp_path, table, escaped):
    rows = [dict(zip(table, row)) for row in zip(*table.values())]
    lines = "".join(json.dumps(row, ensure_ascii=escaped) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_bytes(lines.encode())
    came_back(tmp_path / "rows.jsonl", table)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    came_back(tmp_path / "rows.jsonl.gz", table)
    (tmp_path / "rows.json").write_bytes(json.dumps(rows, ensure_ascii=escaped, indent=1).encode())
    came_back(tmp_path / "rows.json", table)
    pd.DataFrame(table).to_json(tmp_path / "rows.json", orient="records")
    came_back(tmp_path / "rows.json", table)
    to_dataset(pa.table(table)).to_json(tmp_path / "rows.jsonl")
    came_back(tmp_path / "rows.jsonl", table)


@FEW
@given(tables())
def test_parquet(tmp_path, table):
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    came_back(tmp_path / "rows.parquet", table)
    pd.DataFrame(table).to_parquet(tmp_path / "rows.parquet")
    came_back(tmp_path / "rows.parquet", table)


@FEW
@given(tables(), st.lists(WORDS, min_size=1, max_size=3))
def test_missing_values_are_those_that_are_named(tmp_path, table, missing):
    pyarrow.csv.write_csv(pa.table(table), tmp_path / "rows.csv")
    expected = {name: [None if value in missing else value for value in values] for name, values in table.items()}
    came_back(tmp_path / "rows.csv", expected, ReadOptions(tuple(missing)))


NAMED = st.lists((TEXT | WORDS).filter(str.strip), min_size=1, max_size=8)


@FEW
@given(NAMED)
def test_words_of_a_column_are_the_strings_that_stand_there(values):
    codes, words = read_words(to_dataset(pa.table({"site": values})), "site")
    assert [words[code] for code in codes] == values
    assert len(set(words)) == len(words)


@FEW
@given(NAMED, NAMED)
def test_a_label_means_the_same_in_every_split(left, right):
    splits = datasets.DatasetDict(
        {"train": to_dataset(pa.table({"label": left})), "test": to_dataset(pa.table({"label": right}))}
    )
    encoded = encode_labels(splits, "label")
    names = encoded["train"].features["label"].names
    assert names == encoded["test"].features["label"].names
    for values, split in ((left, "train"), (right, "test")):
        found = [names[label] for label in encoded[split]["label"][:]]
        assert found == values or found == [value.split(".")[0] for value in values]


@pytest.mark.parametrize("values", [[3, 20, 3], [3.0, 20.0, 3.0], ["3", "20", "3"], ["3.0", "20.0", "3.0"]])
def test_whole_numbers_are_one_class_whatever_their_type(values):
    codes, words = read_words(to_dataset(pa.table({"label": values})), "label", label=True)
    assert words == ["3", "20"]
    assert codes.tolist() == [0, 1, 0]
