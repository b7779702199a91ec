"""Files as people have them that are read: how each is made, and what comes out. `docs/inputs.md` has the outcomes."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq


TEXTS = ["a moving story", "it goes nowhere", "well told", "too long"]
LABELS, SITES = ["1", "0", "1", "0"], ["paris", "paris", "rome", "rome"]
LONG = "x" * 1_000_000


@dataclass(frozen=True)
class Input:
    """One input: what it is, its file, what makes it; and the rows it gives, or the sentence that refuses it."""

    what: str
    file: str
    make: Callable[[Path], None]
    texts: list[str] | None = None
    labels: list[str] | None = None
    sites: list[str] | None = None
    refused: str | None = None
    arguments: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The words that `arguments` call missing values."""
        return self.arguments[1::2] if "--missing_values" in self.arguments else ()


def words(texts=TEXTS, labels=LABELS, sites=SITES, separator=",", line_end="\n", **dialect) -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator=line_end, **dialect)
    writer.writerow(["text", "label", "site"])
    writer.writerows(zip(texts, labels, sites))
    return file.getvalue()


def lines(texts=TEXTS, labels=LABELS, sites=SITES) -> str:
    return "".join(json.dumps({"text": t, "label": y, "site": e}) + "\n" for t, y, e in zip(texts, labels, sites))


def put(content: str | bytes, encoding="utf-8") -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding)) and None


def folder(**files: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        for name, content in files.items():
            target = path / name.replace("__", "/").replace("_dot_", ".")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")

    return make


def parquet(labels=(1, 0, 1, 0), sites=SITES, texts=TEXTS, cut: int | None = None) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        pq.write_table(pa.table({"text": pa.array(texts), "label": pa.array(labels), "site": pa.array(sites)}), path)
        path.write_bytes(path.read_bytes()[:cut])

    return make


def class_labels(ids: list[int]) -> Callable[[Path], None]:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["bad", "good"]),
            "site": datasets.Value("string"),
        }
    )
    rows = {"text": TEXTS, "label": ids, "site": SITES}
    return lambda path: datasets.Dataset.from_dict(rows, features=features).to_parquet(path) and None


def saved(path: Path, form: str | None = None) -> None:
    rows = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS, "site": SITES})
    rows.with_format(form).save_to_disk(path)


DAYS = [datetime.date(2020, 1, 1), datetime.date(2020, 1, 1), datetime.date(2021, 5, 2), datetime.date(2021, 5, 2)]
TSV = words(separator="\t", quoting=csv.QUOTE_NONE)
ROWS = json.loads(f"[{','.join(lines().splitlines())}]")
NO_QUOTES = {"separator": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None}
QUOTES = ['he said "no"', '"', '"quoted"', 'an open " mark']

READ = [
    # Kinds of files
    Input("CSV", "rows.csv", put(words())),
    Input("TSV", "rows.tsv", put(TSV)),
    Input("JSON: a list of objects", "rows.json", put(json.dumps(ROWS, indent=1))),
    Input("JSON lines", "rows.jsonl", put(lines())),
    Input("JSON lines in a `.json` file, as `datasets` writes them", "lines.json", put(lines())),
    Input("one line of JSON lines", "one.jsonl", put(lines().splitlines()[0]), TEXTS[:1], ["1"], ["paris"]),
    Input("Parquet", "rows.parquet", parquet()),
    Input("an ending in capitals", "ROWS.CSV", put(words())),
    Input("a TSV ending in capitals", "Rows.Tsv", put(TSV)),
    Input("a JSON lines ending in capitals", "ROWS.JSONL", put(lines())),
    Input("a Parquet ending in capitals", "ROWS.PARQUET", parquet()),
    Input("gzipped CSV", "rows.csv.gz", put(gzip.compress(words().encode()))),
    Input("gzipped CSV, capitals", "ROWS.CSV.GZ", put(gzip.compress(words().encode()))),
    Input("gzipped TSV", "rows.tsv.gz", put(gzip.compress(TSV.encode()))),
    Input("gzipped JSON", "rows.json.gz", put(gzip.compress(json.dumps(ROWS).encode()))),
    Input("gzipped JSON lines", "rows.jsonl.gz", put(gzip.compress(lines().encode()))),
    Input("gzipped, and called `.csv`", "zipped.csv", put(gzip.compress(words().encode()))),
    Input("called `.csv.gz`, and not gzipped", "plain.csv.gz", put(words())),
    # Encodings
    Input("UTF-8 with a byte-order mark, as Excel writes it", "mark.csv", put(words(), "utf-8-sig")),
    Input("JSON lines with a byte-order mark", "mark.jsonl", put(lines(), "utf-8-sig")),
    Input("JSON with a byte-order mark", "mark.json", put(json.dumps(ROWS), "utf-8-sig")),
    Input("UTF-16, as Excel's Unicode text", "wide.tsv", put(TSV, "utf-16")),
    Input("UTF-16 CSV", "wide.csv", put(words(), "utf-16")),
    Input("UTF-16, big end first", "big.csv", put(b"\xfe\xff" + words().encode("utf-16-be"))),
    Input(
        "letters of several scripts",
        "é.csv",
        put(words(["ça va", "学习", "🎬 ok", "ß"])),
        ["ça va", "学习", "🎬 ok", "ß"],
    ),
    # Lines
    Input("CRLF line ends", "crlf.csv", put(words(line_end="\r\n"))),
    Input("CRLF line ends in TSV", "crlf.tsv", put(TSV.replace("\n", "\r\n"))),
    Input("CR line ends, as of old Macs", "cr.csv", put(words(line_end="\r"))),
    Input("no line end after the last row", "bare.csv", put(words().rstrip("\n"))),
    Input("empty lines", "gaps.csv", put(words().replace("\n", "\n\n"))),
    Input("empty lines in JSON lines", "gaps.jsonl", put("\n" + lines().replace("\n", "\n\n"))),
    Input(
        "line ends in quoted fields",
        "inner.csv",
        put(words(["a\nb", "c\n\nd", "e", "f"])),
        ["a\nb", "c\n\nd", "e", "f"],
    ),
    Input(
        "CRLF in quoted fields",
        "inner_crlf.csv",
        put(words(["a\r\nb", "c", "d\re", "f"], line_end="\r\n")),
        ["a\r\nb", "c", "d\re", "f"],
    ),
    Input(
        "Unicode's own line separators in a text",
        "u2028.csv",
        put(words(["a\u2028b", "c\x85d", "e", "f"])),
        ["a\u2028b", "c\x85d", "e", "f"],
    ),
    Input("a text of a million characters", "long.csv", put(words([LONG, "b", "c", "d"])), [LONG, "b", "c", "d"]),
    # Separators and quotation marks
    Input("semicolons in a `.csv`, as Excel in much of Europe", "semicolon.csv", put(words(separator=";"))),
    Input("tabs in a `.csv`", "tabs.csv", put(words(separator="\t"))),
    Input("bars in a `.csv`", "bars.csv", put(words(separator="|"))),
    Input("commas in quoted fields", "commas.csv", put(words(["a, b", ",", "c", "d"])), ["a, b", ",", "c", "d"]),
    Input("quotation marks, doubled in quoted fields", "quotes.csv", put(words(QUOTES)), QUOTES),
    Input("every field in quotation marks", "all.csv", put(words(quoting=csv.QUOTE_ALL))),
    Input(
        "a quotation mark within an unquoted field",
        "inch.csv",
        put(words().replace("well told", 'a 5" disc')),
        [*TEXTS[:2], 'a 5" disc', TEXTS[3]],
    ),
    Input("lone quotation marks in TSV", "lone.tsv", put(words(QUOTES, **NO_QUOTES)), QUOTES),
    Input(
        "quoted fields in TSV, `--quoted`",
        "quoted.tsv",
        put(words(["a\tb", "c\nd", '"', "e"], separator="\t")),
        ["a\tb", "c\nd", '"', "e"],
        arguments=("--quoted",),
    ),
    Input(
        "a CSV whose quotation marks are text, `--not_quoted`",
        "raw.csv",
        put('text,label,site\n"a,1,x\nb",0,x\n'),
        ['"a', 'b"'],
        ["0", "1"],
        ["x"],
        arguments=("--not_quoted",),
    ),
    Input(
        "a column without a name, as pandas writes its row numbers",
        "index.csv",
        put("\n".join(f"{n - 1 if n else ''},{row}" for n, row in enumerate(words().splitlines()))),
    ),
    Input("a comma at the end of every line", "trailing.csv", put(words().replace("\n", ",\n"))),
    # Words
    Input(
        "texts `None`, `NA`, `null`, `nan`",
        "none.csv",
        put(words(["None", "NA", "null", "nan"])),
        ["None", "NA", "null", "nan"],
    ),
    Input(
        "sites `None`, `NA`, `null`, `nan`",
        "sites.csv",
        put(words(sites=["None", "NA", "null", "nan"])),
        sites=["NA", "None", "nan", "null"],
    ),
    Input("sites `8` and `010`", "octal.csv", put(words(sites=["8", "8", "010", "010"])), sites=["010", "8"]),
    Input(
        "sites `8` and `010` in TSV",
        "octal.tsv",
        put(words(sites=["8", "8", "010", "010"], separator="\t")),
        sites=["010", "8"],
    ),
    Input(
        "sites `1e3`, `no`, `01`, `1_000`",
        "yaml.csv",
        put(words(sites=["1e3", "no", "01", "1_000"])),
        sites=["01", "1_000", "1e3", "no"],
    ),
    Input(
        "sites that look like dates, in JSON lines",
        "dates.jsonl",
        put(lines(sites=["2020-01-01"] * 2 + ["2021-05-02"] * 2)),
        sites=["2020-01-01", "2021-05-02"],
    ),
    Input(
        "sites with brackets and bars",
        "markup.csv",
        put(words(sites=["[/red]", "[/red]", "a|b", "a|b"])),
        sites=["[/red]", "a|b"],
    ),
    Input("sites that are whole numbers", "numbers.csv", put(words(sites=["10", "10", "9", "9"])), sites=["9", "10"]),
    Input("sites that are integers of Parquet", "integers.parquet", parquet(sites=[10, 10, 9, 9]), sites=["9", "10"]),
    Input(
        "sites that are truth values",
        "truth.parquet",
        parquet(sites=[True, True, False, False]),
        sites=["False", "True"],
    ),
    Input(
        "sites that are truth values of JSON",
        "truth.jsonl",
        put(lines(sites=[True, True, False, False])),
        sites=["False", "True"],
    ),
    Input("sites that are dates", "days.parquet", parquet(sites=DAYS), sites=["2020-01-01", "2021-05-02"]),
    Input(
        "sites that are whole floats",
        "floats.parquet",
        parquet(sites=[2020.0, 2020.0, 2021.0, 2021.0]),
        sites=["2020", "2021"],
    ),
    Input(
        "sites that are a category of pandas",
        "category.parquet",
        lambda path: pq.write_table(
            pa.table({"text": TEXTS, "label": LABELS, "site": pa.array(SITES).dictionary_encode()}), path
        ),
    ),
    # Labels
    Input(
        "labels that are words", "names.csv", put(words(labels=["good", "bad", "good", "bad"])), labels=["bad", "good"]
    ),
    Input("labels `2` and `10`", "ten.csv", put(words(labels=["10", "2", "10", "2"])), labels=["2", "10"]),
    Input("labels `0.0` and `1.0`", "floats.csv", put(words(labels=["1.0", "0.0", "1.0", "0.0"]))),
    Input("labels that are floats of Parquet", "labels.parquet", parquet(labels=[1.0, 0.0, 1.0, 0.0])),
    Input(
        "labels `True` and `False`", "truth.csv", put(words(labels=["True", "False"] * 2)), labels=["False", "True"]
    ),
    Input(
        "labels that are truth values of Parquet",
        "bools.parquet",
        parquet(labels=[True, False, True, False]),
        labels=["False", "True"],
    ),
    Input("labels `01` and `02`", "zeros.csv", put(words(labels=["01", "02"] * 2)), labels=["01", "02"]),
    Input("a `ClassLabel`", "class.parquet", class_labels([1, 0, 1, 0]), labels=["bad", "good"]),
    # Folders
    Input("a folder with a file", "one", folder(rows_dot_csv=words())),
    Input(
        "a folder with train and test, the latter with one class",
        "two",
        folder(train_dot_csv=words(), test_dot_csv=words(["x"], ["1"], ["rome"])),
    ),
    Input(
        "a folder with `Train.CSV` and `Test.CSV`",
        "capitals",
        folder(Train_dot_CSV=words(), Test_dot_CSV=words(["x"], ["1"], ["rome"])),
    ),
    Input("a folder with folders `train` and `test`", "deep", folder(train__a_dot_tsv=TSV, test__a_dot_tsv=TSV)),
    Input(
        "a folder with a hidden file and a note",
        "notes",
        folder(_dot_hidden_dot_csv="x", notes_dot_txt="mine", rows_dot_csv=words()),
    ),
    Input("what `save_to_disk` wrote", "saved", saved),
    Input("what `save_to_disk` wrote of a dataset in numpy's format", "numpy", lambda path: saved(path, "numpy")),
    Input("what `save_to_disk` wrote of a dataset in torch's format", "torch", lambda path: saved(path, "torch")),
    Input(
        "a folder with four pieces",
        "pieces",
        folder(
            **{
                f"p{n}_dot_csv": words(TEXTS[n % 4 : n % 4 + 1], LABELS[n % 4 : n % 4 + 1], SITES[n % 4 : n % 4 + 1])
                for n in range(4)
            }
        ),
    ),
]
