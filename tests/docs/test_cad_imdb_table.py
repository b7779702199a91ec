"""The table of revised reviews says what the raw results say, and no rule saw the shares that are predicted."""

from __future__ import annotations

import pytest

from .pages import ROOT, benchmark


FOLDER = ROOT / "docs" / "benchmarks"


@pytest.fixture(scope="module")
def script():
    return benchmark("cad_imdb")


@pytest.fixture(scope="module")
def lines(script):
    return script.read(FOLDER / "cad_imdb.jsonl")


def test_the_page_is_what_the_script_makes_of_the_results(script, lines):
    assert (FOLDER / "cad_imdb.md").read_text(encoding="utf-8") == script.page(lines)


def test_each_way_has_all_algorithms_and_as_many_trials_of_each(script, lines):
    for way in {line["way"] for line in lines} - {"words"}:
        trials = [line for line in lines if line["way"] == way and "trial" in line]
        first = {name: [t for t in trials if t["trial"] == name and t["seed"] == 0] for name in script.ALGORITHMS}
        assert len({len(of_one) for of_one in first.values()}) == 1
        assert {tuple(trial["validation"]) for trial in trials} == {script.TRAINED}
        found = script.models([line for line in lines if line["way"] == way])
        assert set(script.ALGORITHMS) <= set(found)
        assert all(set(test) == set(script.ENVIRONMENTS) for seeds in found.values() for test in seeds.values())


@pytest.mark.usefixtures("drawn_pictures")
def test_the_picture_is_drawn(script, lines, tmp_path):
    script.picture(lines, tmp_path / "cad_imdb.png")
    assert (tmp_path / "cad_imdb.png").stat().st_size > 10_000
