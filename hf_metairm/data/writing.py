"""Rows as a file that [`read_table`] reads back as they are."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from ..files import replacing
from .delimited import ROWS_AT_ONCE
from .files import KINDS, ReadOptions, kind_of


def write_table(dataset: datasets.Dataset, path: str | Path, options: ReadOptions = ReadOptions()) -> None:  # noqa: B008
    """
    Write all rows into a file of the kind that its ending says.

    CSV, TSV and JSON get the names of a `ClassLabel`'s values. What is missing in CSV and TSV is the first of
    `options.missing_values`, or nothing.

    Args:
        dataset (`datasets.Dataset`): the rows.
        path (`str` or `Path`): ends in one of `KINDS`; text may be gzipped (`.csv.gz`).
        options (`ReadOptions`, *optional*): how it will be read.

    Raises:
        ValueError: another ending, or values that this kind of file cannot hold.
    """
    path = Path(path)
    kind = check_writable(dataset, path)
    plain = dataset.with_format(None)
    with replacing(path) as new:
        if kind == ".parquet":
            pq.write_table(plain.with_format("arrow")[:], new)
            return
        zipped = path.name.lower().endswith(".gz")
        with (
            gzip.open(new, "wt", encoding="utf-8", newline="")
            if zipped
            else new.open("w", encoding="utf-8", newline="") as file
        ):
            if kind in (".csv", ".tsv"):
                _write_delimited(plain, file, path, kind, options)
            else:
                _write_json(plain, file, one_row_a_line=kind == ".jsonl")


def check_writable(dataset: datasets.Dataset, path: Path) -> str:
    """
    The kind of a file that can hold the rows.

    Raises:
        ValueError: another ending, or columns that this kind of file cannot hold.
    """
    kind = kind_of(path)
    if kind is None:
        raise ValueError(f"{path}: files of kind {path.suffix!r} cannot be written; give {', '.join(KINDS)}.")
    values = (datasets.Value, datasets.ClassLabel)
    unfit = [
        name
        for name, feature in dataset.features.items()
        if not isinstance(feature, values) or feature.dtype in ("binary", "large_binary")
    ]
    if unfit and kind != ".parquet":
        raise ValueError(
            f"{path}: the column {unfit[0]!r} holds lists, pictures or bytes: name a file that ends in .parquet with "
            "--output."
        )
    return kind


def _write_delimited(dataset: datasets.Dataset, file: IO[str], path: Path, kind: str, options: ReadOptions) -> None:
    quoted = kind == ".csv" if options.quoted is None else options.quoted
    missing = options.missing_values[0] if options.missing_values else ""
    separator = "," if kind == ".csv" else "\t"
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    rows = csv.writer(
        file, delimiter=separator, quoting=quoting, quotechar='"' if quoted else None, lineterminator="\n"
    )
    try:
        rows.writerow(dataset.column_names)
        for row in _rows(dataset):
            rows.writerow([missing if value is None else value for value in row.values()])
    except csv.Error as error:
        raise ValueError(
            f"{path}: a text holds a separator or a line end, which needs quotation marks: give --quoted, or name a "
            "file of another kind with --output."
        ) from error


def _write_json(dataset: datasets.Dataset, file: IO[str], one_row_a_line: bool) -> None:
    before = "" if one_row_a_line else "[\n"
    for row in _rows(dataset):
        file.write(before + json.dumps(row, ensure_ascii=False, default=str))
        before = "\n" if one_row_a_line else ",\n"
    file.write("\n" if one_row_a_line else "\n]\n")


def _rows(dataset: datasets.Dataset) -> Iterator[dict[str, Any]]:
    names = {name: f.names for name, f in dataset.features.items() if isinstance(f, datasets.ClassLabel)}
    for start in range(0, len(dataset), ROWS_AT_ONCE):
        table: pa.Table = dataset.with_format("arrow")[start : start + ROWS_AT_ONCE]
        for row in table.to_pylist():
            for name, known in names.items():
                if row[name] is not None and row[name] >= 0:
                    row[name] = known[row[name]]
            yield row
