"""What is written is what is read, for every kind of file."""

from __future__ import annotations

import datasets
import pytest

from hf_metairm.data.files import ReadOptions, read_table
from hf_metairm.data.writing import write_table


WORDS = {"text": ["a, b", 'say "no"', "two\nlines", " ", "é"], "label": ["010", "NA", "1e3", "no", "x"]}


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "A.CSV", "a.json", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_words_come_back(name, tmp_path):
    rows = datasets.Dataset.from_dict(WORDS)
    write_table(rows, tmp_path / name)
    assert read_table(tmp_path / name).to_dict() == WORDS


def test_tsv_has_no_quotation_marks_unless_asked(tmp_path):
    plain = datasets.Dataset.from_dict({"text": ['say "no"', "x"], "label": ["1", "0"]})
    write_table(plain, tmp_path / "a.tsv")
    assert read_table(tmp_path / "a.tsv").to_dict() == plain.to_dict()
    rows, quoted = datasets.Dataset.from_dict(WORDS), ReadOptions(quoted=True)
    with pytest.raises(ValueError, match="give --quoted"):
        write_table(rows, tmp_path / "b.tsv")
    assert not (tmp_path / "b.tsv").exists()
    write_table(rows, tmp_path / "b.tsv", quoted)
    assert read_table(tmp_path / "b.tsv", quoted).to_dict() == WORDS


def test_types_missing_values_and_names_of_classes(tmp_path):
    features = datasets.Features({"n": datasets.Value("int64"), "label": datasets.ClassLabel(names=["bad", "good"])})
    rows = datasets.Dataset.from_dict({"n": [1, None, 3], "label": [0, 1, 1]}, features=features)
    write_table(rows, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").features == features
    write_table(rows, tmp_path / "a.jsonl")
    assert read_table(tmp_path / "a.jsonl").to_dict() == {"n": [1, None, 3], "label": ["bad", "good", "good"]}
    write_table(rows, tmp_path / "a.csv", ReadOptions(("NA",)))
    assert (tmp_path / "a.csv").read_text() == "n,label\n1,bad\nNA,good\n3,good\n"


def test_refused(tmp_path):
    rows = datasets.Dataset.from_dict({"tags": [[1], [2]]})
    with pytest.raises(ValueError, match=r"'tags' holds lists.*ends in \.parquet"):
        write_table(rows, tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"files of kind '\.xlsx' cannot be written"):
        write_table(rows, tmp_path / "a.xlsx")
    write_table(rows, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").to_dict() == rows.to_dict()
