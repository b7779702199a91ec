from __future__ import annotations

import json

import pytest

from hf_metairm.experiments.tables import distinguished, markdown_table, print_table, summarize, write_summary
from hf_metairm.experiments.verdict import verdict


pytestmark = pytest.mark.usefixtures("drawn_pictures")


def result(name, seed, **accuracy):
    test = {name: {"accuracy": value, "rows": 400} for name, value in accuracy.items()}
    return {"name": name, "seed": seed, "settings": {"seed": seed}, "test": test}


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


def test_many_or_long_sites_have_a_row_each_and_the_unseen_one_is_marked(tmp_path):
    sites = [f"hospital number {k} | north" for k in range(4)]
    results = [{**result(name, 0, **dict.fromkeys(sites, 0.5)), "unseen": sites[3:]} for name in ("erm", "meta-irm")]
    lines = markdown_table(results).splitlines()
    assert lines[0] == "| environment | erm | meta-irm |"
    assert lines[2] == r"| hospital number 0 \| north | 50.0 ± 2.5 | 50.0 ± 2.5 |"
    assert lines[5].startswith(r"| hospital number 3 \| north (unseen) |")
    assert lines[6] == "| worst | 50.0 | 50.0 |"
    write_summary(results, tmp_path, "Costs $3 and $4 [bold]")
    assert (tmp_path / "accuracy.png").stat().st_size > 10_000


def test_few_sites_are_columns_and_the_unseen_one_is_marked(capsys):
    results = [{**result("erm", 0, **{"north": 0.5, "[red]": 0.4}), "unseen": ["[red]"]}]
    assert markdown_table(results).splitlines()[0] == r"|  | north | \[red\] (unseen) | worst |"
    print_table(results)
    assert "[red] (unseen)" in capsys.readouterr().out


def test_one_name_with_several_settings_is_several_rows():
    def with_settings(seed, **settings):
        return {**result("erm", seed, a=0.5), "settings": {"seed": seed, **settings}}

    results = [with_settings(0, rate=0.1), with_settings(1, rate=0.1), with_settings(0, rate=0.2, column="site")]
    assert [r["name"] for r in distinguished(results)] == ["erm, rate 0.1"] * 2 + ["erm, rate 0.2, column site"]
    assert [r["name"] for r in distinguished(results[:2])] == ["erm", "erm"]


def test_rows_that_are_drawn_with_the_seed_are_no_setting_and_a_changed_file_is():
    def of(seed, rows):
        return {"name": "erm", "seed": seed, "settings": {"seed": seed, "rows_digest": rows, "rate": 0.1}}

    drawn = [of(0, "a"), of(1, "b"), of(2, "c")]
    assert [r["name"] for r in distinguished(drawn)] == ["erm"] * 3
    changed = [*drawn, of(0, "d")]
    assert [r["name"] for r in distinguished(changed)] == [f"erm, rows_digest {letter}" for letter in "abcd"]


def test_what_guessing_and_the_most_frequent_class_get_stands_beside_the_results(tmp_path, capsys):
    one = result("erm", 0, north=0.5, south=0.6)
    one["test"]["north"]["majority"], one["test"]["south"]["majority"], one["classes"] = 0.5, 0.625, 4
    write_summary([one], tmp_path, "A title")
    text = (tmp_path / "table.md").read_text()
    assert "| most frequent class | 50.0 | 62.5 |  |" in text
    assert "guessing among 4 classes is right in 25.0 %" in text
    assert "most frequent class" in capsys.readouterr().out
    assert "guessing" not in markdown_table([result("erm", 0, north=0.5)])


@pytest.mark.parametrize(
    ("erm", "other", "unseen", "said"),
    [
        ((0.90, 0.56), (0.80, 0.57), ["far"], "in any environment that training did not see"),  # within the error
        ((0.90, 0.56), (0.80, 0.70), ["far"], None),
        ((0.80, 0.56), (0.90, 0.50), ["far"], "(far: erm 56.0 ± 2.5, meta-irm 50.0 ± 2.5)"),  # better where it is seen
        ((0.80, 0.56), (0.90, 0.50), [], None),
        ((0.90, 0.56), (0.80, 0.57), [], "--unseen_environments"),
    ],
)
def test_a_comparison_in_which_nothing_beats_erm_says_so(erm, other, unseen, said):
    pairs = (("erm", erm), ("meta-irm", other))
    results = [{**result(name, 0, near=near, far=far), "unseen": unseen} for name, (near, far) in pairs]
    found = verdict(results, "hf-metairm tune")
    assert (found is None) == (said is None)
    assert said is None or (said in found and "`hf-metairm tune`" in found)
    assert verdict(results[:1], "hf-metairm tune") is None, "there is nothing to compare"


def test_the_error_is_over_seeds_where_there_are_several():
    seeds = [result("erm", k, far=0.50) for k in (0, 1)] + [result("v-rex", k, far=0.50 + 0.1 * k) for k in (0, 1)]
    assert "v-rex 55.0 ± 7.1" in verdict(seeds, "hf-metairm tune")
    assert verdict([*seeds[:2], result("v-rex", 0, far=0.59), result("v-rex", 1, far=0.60)], "") is None
