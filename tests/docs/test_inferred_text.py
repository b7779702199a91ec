"""What the page says of inferred environments in texts is what the raw results say."""

from __future__ import annotations

import itertools
from statistics import fmean

import pytest

from .pages import ROOT, benchmark


PAGE = ROOT / "docs" / "infer_environments.md"
SEEDS = {"punctuated_sst2": (0, 1), "cad_imdb": (0, 1, 2)}


@pytest.fixture(scope="module")
def script():
    return benchmark("inferred_text")


@pytest.fixture(scope="module")
def lines(script):
    return script.read(script.OUT)


def test_the_tables_of_the_page_are_what_the_script_makes_of_the_results(script, lines):
    page = PAGE.read_text(encoding="utf-8")
    assert [table for table in script.tables(lines) if table not in page] == []


def test_every_split_and_every_model_is_there_once_for_each_seed(script, lines):
    ways = [(way, algorithm) for way in (script.KNOWN, *script.REFERENCES) for algorithm in script.TRAINED]
    each = [*((way, None) for way in script.REFERENCES), *ways]
    wanted = [(name, *some) for name, seeds in SEEDS.items() for some in itertools.product(seeds, each)]
    found = [(line["dataset"], line["seed"], (line["environments"], line.get("algorithm"))) for line in lines]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_the_sentences_of_the_page(script, lines):
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    splits = {name: [r for r in lines if r["dataset"] == name and "algorithm" not in r] for name in SEEDS}
    assert {r["jtt, rows alike"] for of in splits.values() for r in of} == {1.0}
    assert all(r["warnings"] for r in splits["cad_imdb"]), "with every seed"
    warned = {
        way: sum(bool(r["warnings"]) for r in script.lines_of(lines, "punctuated_sst2", way))
        for way in script.REFERENCES
    }
    assert warned == {"words": 0, "encoder": 1}
    by_words = script.lines_of(lines, "cad_imdb", "words")
    for word in ("bad", "great", "?"):
        assert all(cue_of(r, word) for r in by_words), "with every seed"
        assert f"`{word}` ({strengths(by_words[0], word)}" in page
    assert f"`horror` ({strengths(script.lines_of(lines, 'cad_imdb', 'encoder')[0], 'horror')}" in page
    for way in script.REFERENCES:
        of = [r["words of a text"] for r in script.lines_of(lines, "cad_imdb", way)]
        assert " and ".join(f"{fmean(r[e] for r in of):.0f}" for e in ("against", "with")) in page


def cue_of(line, word):
    return next((cue for cue in line["differing"] if cue["cue"] == f"has {word!r}"), None)


def strengths(line, word):
    """As the page has them: in the originals and in the revisions of the test."""
    cue = cue_of(line, word)
    return " and ".join(f"{cue[e]:+.2f}".replace("-", "−") for e in ("revised=0", "revised=1"))
