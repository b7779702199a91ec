"""Lines of results and the report made of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from hf_metairm.experiments.engine import time_left
from hf_metairm.experiments.measure import statistics, warnings_of
from hf_metairm.experiments.run import Run
from hf_metairm.experiments.store import Store
from hf_metairm.paper import run_of
from hf_metairm.paper.published import PEERS
from hf_metairm.paper.report import write_report
from hf_metairm.paper.tables import TABLES
from hf_metairm.trainer import ALGORITHMS


DOCS = Path(__file__).parents[2] / "docs"
SETTINGS = {"batch": "full", "source": "bundled", "word_vectors": None}


def result_of(run, accuracy, rows=1000):
    return {
        "name": run.name,
        "seed": run.seed,
        "settings": run.settings,
        "test": {name: {"accuracy": accuracy, "rows": rows} for name in run.settings["environments"]},
        "validation": {"p=0.1": {"accuracy": accuracy}},
        "source": "some digits",
        "train_seconds": 2.0,
        "warnings": [],
    }


def test_every_row_is_made_of_fields_that_its_algorithm_has(tmp_path):
    for table in TABLES.values():
        assert set(table.published) <= {row.name for row in table.rows}
        for row in table.rows:
            for batch in ("full", 5000):
                ALGORITHMS[row.algorithm][1](output_dir=str(tmp_path), use_cpu=True, **row.at(batch).fields)


def test_a_row_has_settings_of_its_own_where_the_batch_is_not_full(tmp_path):
    table = TABLES["ablations"]
    full, part = (run_of(table, table.row("full"), 0, **{**SETTINGS, "batch": b}).settings for b in ("full", 5000))
    assert (full["steps"], full["fields"]["std_loss_weight"]) == (240, 1e4)
    assert (part["steps"], part["fields"]["std_loss_weight"]) == (400, 100)
    # What an ablation changes stands in either setting.
    part = run_of(table, table.row("no std loss"), 0, **{**SETTINGS, "batch": 5000})
    assert (part.settings["steps"], part.settings["fields"]["std_loss_weight"]) == (400, 0)
    Store(tmp_path).write(part, result_of(part, 0.5))
    write_report(tmp_path, tmp_path / "report.md")
    text = (tmp_path / "ablations.md").read_text()
    assert "| no std loss | 50.0" in text
    assert "no std loss has steps 400, penalty_anneal_steps 80, inner_learning_rate 0.1." in text


@pytest.mark.usefixtures("drawn_pictures")
def test_the_report_shows_mean_deviation_and_standard_error_and_keeps_settings_apart(tmp_path):
    table = TABLES["half"]
    store = Store(tmp_path)
    for seed, accuracy in enumerate((0.60, 0.64)):
        run = run_of(table, table.row("irmv1"), seed, **SETTINGS)
        store.write(run, result_of(run, accuracy))
    small = run_of(table, table.row("irmv1"), 0, **{**SETTINGS, "batch": 2500})
    store.write(small, result_of(small, 0.30))
    old = json.loads(json.dumps(result_of(run_of(table, table.row("irmv1"), 2, **SETTINGS), 0.99)))
    old["settings"]["fields"]["learning_rate"] = 1.0  # Of a definition that is no longer the table's.
    store.write(Run("irmv1", old["settings"], "half"), old)

    write_report(tmp_path, tmp_path / "report.md")

    text = (tmp_path / "half.md").read_text()
    full, batches = text.split("## Full batch; some digits")[1].split("## Batches of 2,500 rows; some digits")
    assert "hf-metairm reproduce half --seeds 2 --source bundled\n" in full
    assert "hf-metairm reproduce half --seeds 1 --batch_size 2500 --source bundled\n" in batches
    # se = √(0.62 · 0.38 / 1000) = 1.53 points; sd = 0.04/√2 = 2.83 points.
    assert "| irmv1 | 62.0 ± 2.8 (1.5) | 62.0 ± 2.8 (1.5) | 62.0 ± 2.8 (1.5) | 2 | 58.5 ± 2.5 |" in full
    assert "| irmv1 | 30.0 (1.4) |" in batches
    assert "99.0" not in text
    assert (tmp_path / "half_full.png").stat().st_size > 5000


def test_the_index_has_each_table_at_a_glance(tmp_path):
    store = Store(tmp_path / "results")
    accuracies = {"erm": 0.3, "irmv1": 0.6, "v-rex": 0.65, "meta-irm": 0.7}
    for name, accuracy in accuracies.items():
        run = run_of(TABLES["half"], TABLES["half"].row(name), 0, **SETTINGS)
        store.write(run, result_of(run, accuracy))
    assert write_report(tmp_path / "results", tmp_path / "pages" / "index.md") == ["half"]
    rows = [line for line in (tmp_path / "pages" / "index.md").read_text().splitlines() if line.startswith("| [")]
    assert rows == [
        f"| [half](../results/half.md) | {TABLES['half'].title} | full | 70.0 (1.4) | v-rex 65.0 (1.5) | 30.0 (1.4) | "
        "68.3 ± 2.3 |"
    ]
    assert "](../pages/index.md)" in (tmp_path / "results" / "half.md").read_text()


def test_a_table_of_expectations_has_an_interval(tmp_path):
    table = TABLES["punctuated_sst2_words_25"]
    for seed, accuracy in enumerate((0.60, 0.64)):
        run = run_of(table, table.row("v-rex"), seed, **{**SETTINGS, "word_vectors": "glove.txt"})
        result = result_of(run, accuracy, rows=872)
        for found in result["test"].values():
            found["standard_error"] = 0.01
        Store(tmp_path).write(run, result)
    write_report(tmp_path, tmp_path / "report.md")
    text = (tmp_path / "punctuated_sst2_words_25.md").read_text()
    # 62 ± 1.96 √(1² + 2.83²/2) = 62 ± 4.38.
    assert "| v-rex | 62.0 ± 2.8 (1.0) | 62.0 ± 2.8 (1.0) | 62.0 ± 2.8 (1.0) | 57.6 to 66.4 | 2 |  |" in text
    assert "over the 872 sentences" in text
    assert "Three protocols" in (tmp_path / "report.md").read_text()


def test_what_people_wrote_of_a_table_is_on_its_page(tmp_path):
    run = run_of(TABLES["half"], TABLES["half"].row("erm"), 0, **SETTINGS)
    Store(tmp_path).write(run, result_of(run, 0.3))
    for folder in ("remarks", "notes"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "half.md").write_text(f"Some {folder}.\n")
    write_report(tmp_path, tmp_path / "report.md")
    text = (tmp_path / "half.md").read_text()
    assert "Some remarks." in text
    assert "Some notes." not in text
    assert "](notes/half.md)" in text


def test_peers_are_of_tables_and_have_a_reference():
    assert set(PEERS) <= set(TABLES)
    for peer in (peer for peers in PEERS.values() for peer in peers):
        assert re.fullmatch(r"\[.+ \d{4}\]\(https://.+\)", peer.paper)


def test_an_empty_folder_has_no_report(tmp_path):
    with pytest.raises(ValueError, match="no finished run"):
        write_report(tmp_path, tmp_path / "report.md")


def test_statistics_against_their_definitions():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1.0, 1.0, 1.0], size=60_000)
    labels = np.array([generator.choice(3, p=p) for p in probabilities[:2000]])
    found = statistics(np.log(probabilities[:2000]) + 5, labels)
    assert found["risk"] == pytest.approx(-np.log(probabilities[np.arange(2000), labels]).mean())
    assert found["accuracy"] == pytest.approx((probabilities[:2000].argmax(1) == labels).mean())
    # Labels drawn from the probabilities themselves: calibrated, but for the noise of 2,000 draws in fifteen bins.
    assert found["calibration_error"] < 0.04
    sure = statistics(np.log(probabilities[:2000]) * 8, labels)
    assert sure["calibration_error"] > 0.15


def test_a_mirrored_solution_is_named():
    mirrored = {"p=0.1": {"accuracy": 0.2}, "p=0.2": {"accuracy": 0.1}}
    assert "mirrored" in warnings_of(mirrored, 2)[0]
    guessing = {"p=0.1": {"accuracy": 0.5}, "p=0.2": {"accuracy": 0.51}}
    assert "no better than guessing" in warnings_of(guessing, 2)[0]
    assert warnings_of({"p=0.1": {"accuracy": 0.7}, "p=0.2": {"accuracy": 0.7}}, 2) == []


def test_the_time_left_is_that_of_the_same_rows():
    table = TABLES["half"]
    runs = [run_of(table, row, seed, **SETTINGS) for row in table.rows[:2] for seed in (0, 1)]
    first = {**result_of(runs[0], 0.5), "train_seconds": 10.0}
    second = {**result_of(runs[2], 0.5), "train_seconds": 30.0}
    assert time_left([runs[1], runs[3]], {runs[0]: first, runs[2]: second}, 1) == "about 40 s left"
    assert time_left(runs[1:], {}, 1) is None


def test_the_pages_in_the_docs_are_made_of_the_lines_beside_them(tmp_path):
    """Lines as version 0.1 wrote them, number for number the same pages, all of which the site's menu has."""
    docs = DOCS / "reproduction"
    shutil.copytree(docs, tmp_path / "reproduction")
    for page in (tmp_path / "reproduction").glob("*.md"):
        page.unlink()
    write_report(tmp_path / "reproduction", tmp_path / "reproduction.md")
    assert (tmp_path / "reproduction.md").read_text() == (DOCS / "reproduction.md").read_text()
    written = {page.name: page.read_text() for page in (tmp_path / "reproduction").glob("*.md")}
    assert written == {page.name: page.read_text() for page in docs.glob("*.md")}
    menu = (DOCS.parent / "mkdocs.yml").read_text()
    assert [name for name in written if f": reproduction/{name}\n" not in menu] == []
