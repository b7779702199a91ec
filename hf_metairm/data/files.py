"""The one reader of people's files: CSV, TSV, JSON, JSON lines and Parquet, gzipped or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets.table import InMemoryTable

from .delimited import ROWS_AT_ONCE, read_delimited
from .textfiles import open_text


KINDS = (".parquet", ".csv", ".tsv", ".json", ".jsonl")


@dataclass(frozen=True)
class ReadOptions:
    """
    How files are read.

    Args:
        missing_values (`tuple[str, ...]`, *optional*): words that stand for a missing value, such as `("NA", "")`; by
            default every word is a word.
        quoted (`bool`, *optional*): whether fields of CSV and TSV files may stand in quotation marks; by default those
            of CSV may, those of TSV may not.
    """

    missing_values: tuple[str, ...] = ()
    quoted: bool | None = None


def kind_of(path: Path) -> str | None:
    """The ending in `KINDS` that the file has, in whatever case, before `.gz` or not; `None` if it has none."""
    name = path.name.lower().removesuffix(".gz")
    kind = next((kind for kind in KINDS if name.endswith(kind)), None)
    return None if kind == ".parquet" and name != path.name.lower() else kind


def read_table(path: str | Path, options: ReadOptions = ReadOptions()) -> datasets.Dataset:
    """
    Read all rows of a file.

    Columns of CSV and TSV are strings; JSON and Parquet have types of their own, and these are kept. No value is
    guessed: `None`, `NA`, `010` or `2020-01-01` are the words that stand there.

    Args:
        path (`str` or `Path`): the file; its ending, in whatever case, says what it is.
        options (`ReadOptions`, *optional*): which words are missing values, and whether there are quotation marks.

    Raises:
        ValueError: it is none of these, cannot be read as what its name says, or has no rows; the message says where.
        FileNotFoundError: there is no such file.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    kind = kind_of(path)
    if kind is None:
        given = "".join(path.suffixes[-2:]) if path.name.lower().endswith(".gz") else path.suffix
        raise ValueError(f"{path}: files of kind {given!r} cannot be read; give {', '.join(KINDS)}.")
    if not path.stat().st_size:
        raise ValueError(f"{path} has no rows: it is empty.")
    if kind == ".parquet":
        table = read_parquet(path)
    elif kind in (".csv", ".tsv"):
        quoted = kind == ".csv" if options.quoted is None else options.quoted
        table = read_delimited(path, "\t" if kind == ".tsv" else None, quoted)
    else:
        table = _read_json(path, one_row_a_line=kind == ".jsonl")
    if not table.num_rows:
        raise ValueError(f"{path} has no rows.")
    return to_dataset(_without(table, options.missing_values))


def to_dataset(table: pa.Table) -> datasets.Dataset:
    """The table as a dataset in memory, with the features that its metadata name."""
    return datasets.Dataset(InMemoryTable(table))


def _without(table: pa.Table, missing: tuple[str, ...]) -> pa.Table:
    if not missing:
        return table
    for place, column in enumerate(table.columns):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            is_missing = pc.is_in(column, pa.array(missing, column.type))
            table = table.set_column(place, table.field(place), pc.if_else(is_missing, None, column))
    return table


# Parquet -----------------------------------------------------------------------------------------------------------


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """
    Read a Parquet file, all of it or some `columns`; categories of pandas become their values.

    Raises:
        ValueError: it is damaged, has two columns of one name, or lacks one of `columns`.
    """
    try:
        present = pq.read_schema(path).names
        twice = next((name for place, name in enumerate(present) if name in present[:place]), None)
        if twice is not None:
            raise ValueError(f"{path} has two columns named {twice!r}: rename one of them.")
        missing = [name for name in columns or [] if name not in present]
        if missing:
            raise ValueError(f"{path} has the columns {', '.join(present)}, but {', '.join(missing)} is needed.")
        table = pq.read_table(path, columns=columns, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        reason = re.split(r"\.\s|\n", str(error).strip())[0].rstrip(".")
        raise ValueError(
            f"{path} cannot be read as parquet: it is damaged or not a Parquet file ({reason}); fetch it again."
        ) from error
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            plain = table.column(place).cast(field.type.value_type)
            table = table.set_column(place, pa.field(field.name, plain.type), plain)
    return table


# JSON --------------------------------------------------------------------------------------------------------------


def _read_json(path: Path, one_row_a_line: bool) -> pa.Table:
    with open_text(path) as text:
        start = text.read(1)
        while start.isspace():
            start = text.read(1)
        text.seek(0)
        if start == "[":
            return _table(path, _listed(path, text.read()), "row")
        try:
            first = json.loads(next((line for line in text if line.strip()), ""))
        except json.JSONDecodeError:
            first = None
        more = any(line.strip() for line in text)
        text.seek(0)
        if first is None or not (more or one_row_a_line):
            _refuse_one_object(path, text.read())
            text.seek(0)
        return _table(path, _parsed_lines(path, text), "line")


def _listed(path: Path, content: str) -> list[Any]:
    try:
        rows: list[Any] = json.loads(content)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno}: this is not JSON, or the file is cut off ({error.msg})."
        ) from error
    return rows


def _refuse_one_object(path: Path, content: str) -> None:
    try:
        whole = json.loads(content)
    except json.JSONDecodeError:
        return  # then its lines say what is wrong
    if isinstance(whole, dict):
        raise ValueError(
            f"{path} holds one object (with {', '.join(map(repr, list(whole)[:5]))}), not a list of rows: write "
            "[{…}, {…}], or one object a line."
        )


def _parsed_lines(path: Path, lines: Iterable[str]) -> Iterable[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: this is not JSON, or the file is cut off ({error.msg})."
                ) from error


def _table(path: Path, rows: Iterable[Any], place: str) -> pa.Table:
    """Objects as a table; a key that an object lacks is a missing value there."""
    tables: list[pa.Table] = []
    batch: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f'{path}, {place} {number}: a row is an object such as {{"text": …}}, not {row!r:.40}.')
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            tables.append(_batch(path, batch))
            batch = []
    if batch:
        tables.append(_batch(path, batch))
    if not tables:
        raise ValueError(f"{path} has no rows.")
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowException, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{path}: a column holds values of several kinds ({reason}): write all as words.") from error


def _batch(path: Path, rows: list[dict[str, Any]]) -> pa.Table:
    columns = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, OverflowError, TypeError):
            kinds = sorted({type(value).__name__ for value in values if value is not None})
            raise ValueError(
                f"{path}: the column {name!r} holds values of several kinds ({', '.join(kinds)}) or numbers that are "
                "too large: write all of them as words."
            ) from None
    return pa.table(columns)
