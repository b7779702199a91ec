"""The index of papers has every algorithm, with its paper, its class and its command."""

from __future__ import annotations

import re

import pytest

from hf_metairm.algorithms import ALGORITHMS

from .pages import ROOT


PAGE = ROOT / "docs" / "papers.md"


def rows():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_algorithm_is_in_the_index(name):
    cls = ALGORITHMS[name]
    found = [row for row in rows() if row[2].endswith(f"--algorithms {name}`")]
    assert len(found) == 1, f"docs/papers.md has no row, or several, with the command `… --algorithms {name}`"
    _, code, _ = found[0]
    file = f"../{cls.__module__.replace('.', '/')}.py"
    assert f"[`{cls.__name__}`]({file})" in code
    if cls.paper:
        title = " ".join(re.search(r"title=\{(.*?)\},", cls.paper, re.DOTALL)[1].split())
        assert f"*{title}*" in PAGE.read_text(encoding="utf-8")
