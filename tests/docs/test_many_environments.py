"""The tables of many environments say what the raw results say."""

from __future__ import annotations

import json
from statistics import fmean, stdev

import pytest

from .pages import ROOT


@pytest.fixture(scope="module")
def lines():
    text = (ROOT / "docs" / "benchmarks" / "many_environments.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("variant", "row"),
    [
        ("all pairs", "all pairs, `exact`"),
        ("one drawn", "one outer environment drawn, `exact`"),
        ("one drawn, running means", "one drawn, running means of the meta-losses"),
        ("one drawn, crossed", "one drawn, `crossed_difference`"),
    ],
)
def test_times(variant, row, lines, page):
    seconds = {(r["variant"], r["environments"]): r["seconds"] for r in lines if r["what"] == "time"}
    ratios = [seconds[variant, e] / seconds["erm", e] for e in (4, 16, 64)]
    assert f"| {row} | {' | '.join(f'{r:.0f}' if r > 100 else f'{r:.1f}' for r in ratios)} |" in page


@pytest.mark.parametrize(
    ("variant", "row"),
    [
        ("erm", "ERM"),
        ("all pairs", "all pairs (one seed)"),
        ("one drawn", "one drawn"),
        ("one drawn, running means", "one drawn, running means (`std_loss_momentum` 0.9)"),
        ("one drawn, crossed", "one drawn, `crossed_difference`, α = 0.02"),
    ],
)
def test_accuracies(variant, row, lines, page):
    of = [r["accuracy"] for r in lines if r["variant"] == variant and r.get("l2_regularization") == 0.01]
    assert len(of) == (1 if "one seed" in row else 3)
    cells = []
    for p in ("p=0.1", "p=0.2", "p=0.9"):
        values = [100 * accuracy[p] for accuracy in of]
        cells.append(f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else ""))
    assert f"| {row} | {' | '.join(cells)} |" in page
