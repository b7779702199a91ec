"""CSV and TSV: every field is the word that stands there, and every row has as many fields as the header."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from .textfiles import open_text


ROWS_AT_ONCE = 50_000
OTHER_SEPARATORS = (";", "\t", "|")  # of files that are called .csv nevertheless
LONGEST_FIELD = 2**31 - 1


def read_delimited(path: Path, separator: str | None, quoted: bool, header: list[str] | None = None) -> pa.Table:
    """
    Read a file of separated fields as columns of strings: nothing is taken for a number, a date or a missing value.

    Args:
        path (`Path`): the file, gzipped or not.
        separator (`str`, *optional*): what stands between fields; by default a comma, or where the header has none,
            the semicolon, tab or bar that it has.
        quoted (`bool`): whether fields may stand in quotation marks, in which separators, line ends and (doubled)
            quotation marks are part of the text.
        header (`list[str]`, *optional*): names of the columns of a file that has no header.

    Raises:
        ValueError: a row has too many or too few fields, a quotation mark is not closed, the header names a column
            twice, or the file is no text. The line is named.
    """
    with open_text(path) as lines:
        table = _read(path, lines, separator or ",", quoted, header)
    if separator is None and table.num_columns == 1:
        other = next((mark for mark in OTHER_SEPARATORS if mark in table.column_names[0]), None)
        if other is not None:
            return read_delimited(path, other, quoted, header)
    return table


def _read(path: Path, lines: TextIO, separator: str, quoted: bool, header: list[str] | None) -> pa.Table:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(
        lines, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=True
    )
    batches: list[pa.RecordBatch] = []
    rows: list[list[str]] = []
    names, line = header, 1
    try:
        for row in reader:
            if names is None:
                names = _names(path, row) if row else None
            elif len(row) == len(names):
                rows.append(row)
                if len(rows) == ROWS_AT_ONCE:
                    batches.append(_batch(rows, names))
                    rows = []
            elif row:  # an empty line is no row
                raise ValueError(_wrong_number(path, line, len(row), names, quoted))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {_explained(error)}") from error
    if names is None:
        raise ValueError(f"{path} has no rows: it is empty.")
    if rows:
        batches.append(_batch(rows, names))
    return pa.Table.from_batches(batches, pa.schema([(name, pa.string()) for name in names]))


def _batch(rows: list[list[str]], names: list[str]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(column, pa.string()) for column in zip(*rows)], names)


def _names(path: Path, row: list[str]) -> list[str]:
    """The header; a column without a name, such as the row numbers that pandas writes, is called by its place."""
    names = [name if name.strip() else f"column {place + 1}" for place, name in enumerate(row)]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ValueError(f"{path} has two columns named {twice!r}: rename one of them in the header.")
    return names


def _wrong_number(path: Path, line: int, found: int, names: list[str], quoted: bool) -> str:
    wrong = f"{path}, line {line}: {found} fields, but the header names {len(names)} ({', '.join(names)})"
    if found < len(names):
        return f"{wrong}: fill in what is missing, or delete the line."
    advice = "a text that holds the separator stands in quotation marks" if quoted else "a text may not hold a tab"
    return f"{wrong}: {advice}."


def _explained(error: csv.Error) -> str:
    if "end of data" in str(error):
        return (
            "a quotation mark is opened and never closed, so the rest of the file would be one field: close it, or "
            "double it where it is part of the text."
        )
    if "expected after" in str(error):
        return "text follows a closing quotation mark: write a quotation mark within a quoted text twice."
    return f"it cannot be read ({error})."
