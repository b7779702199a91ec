"""The page of inputs says what each of them gets; the page of a new dataset shows the one that is tested."""

from __future__ import annotations

import json
import os

from ..data.inputs import READ
from ..data.refused_inputs import REFUSED
from ..data.test_inputs import look
from .pages import ROOT, snippets


PAGE = ROOT / "docs" / "inputs.md"
HEAD = """# What each input gets

Every command reads files in the same way. This table is written by the test that runs all of these inputs through the
command line (`HF_METAIRM_WRITE=1 pytest tests/docs/test_inputs.py`). The columns are `text`, `label` and `site`.

In short: CSV and TSV have no types, so every field is the word that stands there; JSON and Parquet keep theirs. TSV
has no quotation marks unless you ask for them (`--quoted`). Nothing stands for a missing value unless you say so
(`--missing_values NA`), but a label or a site may not be blank. Labels have one list of names over all splits;
integers are sorted by value, and `1.0` is `1`.
"""


def outcome(entry, folder):
    _, result = look(entry, folder)
    if result.exit_code:
        sentence = result.stderr.splitlines()[-1].replace(f"{folder}{os.sep}", "")
        return "Refused", sentence.removeprefix("Error: ")
    found = json.loads(result.stdout)["environments"]
    rows = sum(environment["rows"] for environment in found)
    names = ", ".join(code(environment["name"]) for environment in found)
    labels = ", ".join(code(name) for name in found[0]["labels"])
    return "Read", f"{rows} row{'s' * (rows > 1)}; sites {names}; labels {labels}"


def code(name):
    return f"<code>{name.replace('|', '&#124;')}</code>" if "|" in name else f"`{name}`"


def test_the_page_says_what_happens(tmp_path):
    page = [HEAD]
    for title, entries in (("Read", READ), ("Refused", REFUSED)):
        page += [f"## {title}", "", "| input | file | what comes out |", "|---|---|---|"]
        for entry in entries:
            kind, text = outcome(entry, tmp_path)
            assert kind == title, entry.what
            text = text if kind == "Read" else text.replace("|", "\\|").replace("<", "&lt;")
            page.append(f"| {entry.what} | `{entry.file}` | {text} |")
        page.append("")
    text = "\n".join(page)
    if os.environ.get("HF_METAIRM_WRITE") == "1":
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text, "run it with HF_METAIRM_WRITE=1 and look at what has changed"


def test_the_page_of_a_new_dataset_shows_the_toy_that_is_tested():
    (snippet,) = snippets(ROOT / "docs" / "new_dataset.md", "py")
    toy = (ROOT / "tests" / "data" / "toy_dataset.py").read_text(encoding="utf-8")
    assert toy.endswith(snippet.text)
    assert snippet.text.startswith("from __future__")
