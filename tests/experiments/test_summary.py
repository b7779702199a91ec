from __future__ import annotations

import json

import pytest

from hf_metairm.experiments.summary import markdown_table, summarize, write_summary


def result(name, seed, **accuracy):
    return {"name": name, "seed": seed, "accuracy": accuracy, "rows": dict.fromkeys(accuracy, 400)}


def test_mean_and_deviation_over_seeds_and_the_test_sets_own_error():
    found = summarize([result("erm", 0, a=0.8, b=0.2), result("erm", 1, a=0.9, b=0.4), result("other", 0, a=0.5)])
    assert found["erm"]["a"]["mean"] == pytest.approx(0.85)
    assert found["erm"]["a"]["sd"] == pytest.approx(0.0707107, abs=1e-6)
    assert found["erm"]["a"]["se"] == pytest.approx((0.85 * 0.15 / 400) ** 0.5)
    assert found["other"]["a"]["seeds"] == 1


def test_table_says_what_its_error_bars_are(tmp_path, capsys):
    one = [result("erm", 0, **{"p=0.1": 0.8, "p=0.9": 0.25})]
    assert markdown_table(one, ["p=0.9"]).splitlines()[2] == "| erm | 25.0 ± 2.2 | 25.0 |"
    two = [*one, result("erm", 1, **{"p=0.1": 0.9, "p=0.9": 0.35})]
    assert markdown_table(two).splitlines()[2] == "| erm | 85.0 ± 7.1 | 30.0 ± 7.1 | 30.0 |"
    write_summary(two, tmp_path, "A title")
    printed = capsys.readouterr().out
    assert "over 2 seeds" in printed
    assert "30.0" in printed
    assert json.loads((tmp_path / "results.json").read_text()) == two
    assert (tmp_path / "accuracy.png").stat().st_size > 10_000
