"""Files as people have them that are refused, and in which sentence."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq

from .inputs import LABELS, ROWS, TEXTS, TSV, Input, class_labels, folder, lines, parquet, put, words


REFUSED = [
    Input("an empty file", "empty.csv", put(""), refused="has no rows: it is empty"),
    Input("a header and no rows", "header.csv", put("text,label,site\n"), refused="has no rows"),
    Input("an empty list in JSON", "empty.json", put("[]"), refused="has no rows"),
    Input("empty lines alone", "blank.jsonl", put("\n\n"), refused="has no rows"),
    Input(
        "a row with too many fields",
        "many.csv",
        put(words() + "a,b,1,rome\n"),
        refused=r"line 6: 4 fields, but the header names 3 \(text, label, site\)",
    ),
    Input(
        "a row with too many fields, after a text of two lines",
        "late.csv",
        put(words(["a\nb", *TEXTS[1:]]) + "a,b,1,rome\n"),
        refused="line 7: 4 fields",
    ),
    Input(
        "a row with too few fields",
        "few.csv",
        put(words() + "a,1\n"),
        refused="line 6: 2 fields, but the header names 3",
    ),
    Input(
        "a tab in a text of a TSV",
        "tab.tsv",
        put(TSV + "a\tb\t1\trome\n"),
        refused="line 6: 4 fields.*a text may not hold a tab",
    ),
    Input(
        "a quotation mark that is never closed",
        "open.csv",
        put(words().replace("well told", '"well told')),
        refused="line 4: a quotation mark is opened and never closed",
    ),
    Input(
        "text after a closing quotation mark",
        "after.csv",
        put(words().replace("well told", '"well" told')),
        refused="line 4: text follows a closing quotation mark",
    ),
    Input("two columns of one name", "twice.csv", put("text,label,text\na,1,b\n"), refused="two columns named 'text'"),
    Input(
        "two columns of one name in Parquet",
        "twice.parquet",
        lambda path: pq.write_table(pa.table([[1], [2]], names=["text", "text"]), path),
        refused="two columns named 'text'",
    ),
    Input(
        "no such column",
        "other.csv",
        put(words().replace("site", "place")),
        refused="no column 'site'; the columns are text, label, place",
    ),
    Input(
        "Latin-1",
        "latin.csv",
        put(words([*TEXTS[:3], "café"]), "latin-1"),
        refused="line 5: the byte 0xE9 is not UTF-8",
    ),
    Input(
        "UTF-16 without its mark",
        "unmarked.csv",
        put(words().encode("utf-16-le")),
        refused="is no text but a binary file",
    ),
    Input(
        "UTF-8, cut off in the middle of a letter",
        "cut.csv",
        put(words([*TEXTS[:3], "é"]).encode()[:-9]),
        refused="cut off in the middle of a character",
    ),
    Input("a binary file called `.csv`", "binary.csv", put(bytes(range(256))), refused="is no text but a binary file"),
    Input(
        "a workbook of Excel",
        "book.xlsx",
        put(b"PK\x03\x04"),
        refused=r"files of kind '\.xlsx' cannot be read; give \.parquet",
    ),
    Input(
        "a workbook of Excel called `.csv`",
        "book.csv",
        put(b"PK\x03\x04\x14\x00\x06\x00"),
        refused="is no text but a binary file",
    ),
    Input("a Parquet file called `.csv`", "parquet.csv", parquet(), refused="is no text but a binary file"),
    Input("a CSV file called `.parquet`", "csv.parquet", put(words()), refused="cannot be read as parquet"),
    Input(
        "a Parquet file that is cut off",
        "cut.parquet",
        parquet(cut=300),
        refused="cannot be read as parquet: it is damaged or not",
    ),
    Input(
        "a gzipped file that is cut off",
        "cut.csv.gz",
        put(gzip.compress(words().encode())[:-12]),
        refused="is damaged or cut off",
    ),
    Input(
        "a gzipped file with a wrong byte",
        "wrong.csv.gz",
        put(gzip.compress(words().encode())[:-6] + b"oooops"),
        refused="is damaged or cut off",
    ),
    Input(
        "JSON lines that are cut off",
        "cut.jsonl",
        put(lines()[:-9]),
        refused="line 4: this is not JSON, or the file is cut off",
    ),
    Input(
        "JSON that is cut off",
        "cut.json",
        put(json.dumps(ROWS)[:-9]),
        refused="this is not JSON, or the file is cut off",
    ),
    Input(
        "JSON that is one object",
        "object.json",
        put(json.dumps({"data": ROWS})),
        refused=r"holds one object \(with 'data'\), not a list of rows",
    ),
    Input(
        "JSON that is one object on many lines",
        "pretty.json",
        put(json.dumps({"text": TEXTS, "label": LABELS}, indent=1)),
        refused="holds one object",
    ),
    Input(
        "JSON that is a list of lists",
        "lists.json",
        put(json.dumps([["a", 1, "x"]])),
        refused="row 1: a row is an object",
    ),
    Input("JSON lines that are words", "words.jsonl", put('"a"\n"b"\n'), refused="line 1: a row is an object"),
    Input(
        "JSON with sites that are words and numbers",
        "mixed.jsonl",
        put(lines(sites=["8", "8", 10, 10])),
        refused="'site' holds values of several kinds",
    ),
    Input(
        "JSON with a row that lacks its site",
        "lacks.jsonl",
        put(lines() + '{"text": "a", "label": "1"}\n'),
        refused="1 row has no value in column 'site'",
    ),
    Input(
        "a blank site",
        "blank.csv",
        put(words(sites=["paris", "", "rome", " "])),
        refused="2 rows have no value in column 'site'",
    ),
    Input(
        "a blank label",
        "unlabelled.csv",
        put(words(labels=["1", "", "1", "0"])),
        refused="1 row has no value in column 'label'",
    ),
    Input(
        "sites `NA`, `--missing_values NA`",
        "na.csv",
        put(words(sites=["NA", "paris", "rome", "rome"])),
        refused="1 row has no value in column 'site'",
        arguments=("--missing_values", "NA"),
    ),
    Input(
        "a `ClassLabel` of −1, which is no label",
        "hidden.parquet",
        class_labels([1, -1, -1, 0]),
        refused="2 rows have no value in column 'label'",
    ),
    Input(
        "labels that lack in Parquet",
        "null.parquet",
        parquet(labels=[1, None, 1, 0]),
        refused="1 row has no value in column 'label'",
    ),
    Input(
        "labels that are fractions of Parquet",
        "half.parquet",
        parquet(labels=[0.5, 1, 1, 0]),
        refused="'label' holds 0.5: fractions name nothing",
    ),
    Input(
        "sites that are lists",
        "lists.parquet",
        parquet(sites=[["a"], ["a"], ["b"], ["b"]]),
        refused="'site' holds lists or records",
    ),
    Input(
        "sites that are bytes", "bytes.parquet", parquet(sites=[b"a", b"a", b"b", b"b"]), refused="'site' holds bytes"
    ),
    Input("a folder without files", "nothing", folder(), refused="has no data files .*; it holds nothing"),
    Input(
        "a folder without data files",
        "texts",
        folder(notes_dot_txt="mine"),
        refused=r"has no data files .*; it holds notes\.txt",
    ),
    Input(
        "a folder with files of several kinds",
        "kinds",
        folder(a_dot_csv=words(), a_dot_tsv=TSV),
        refused="holds files of several kinds",
    ),
    Input(
        "a folder with files of other columns",
        "differ",
        folder(a_dot_csv=words(), b_dot_csv="x,y\n1,2\n"),
        refused="have different columns",
    ),
    Input("a file that is not there", "gone.csv", lambda path: None, refused="There is no file"),
]
