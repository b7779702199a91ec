"""Lines of results and the report made of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hf_metairm.paper.experiments import TABLES
from hf_metairm.paper.jobs import Lines, make_job
from hf_metairm.paper.report import write_report
from hf_metairm.paper.runner import time_left
from hf_metairm.paper.training import _warnings, statistics
from hf_metairm.trainer import ALGORITHMS


SETTINGS = {"batch": "full", "source": "bundled", "word_vectors": None}


def line_of(job, accuracy, rows=1000):
    figures = {name: {"accuracy": accuracy, "rows": rows} for name in job.config["environments"]}
    return {
        "config": dict(job.config),
        "test": figures,
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
    full, part = (make_job(table, table.row("full"), 0, **{**SETTINGS, "batch": b}).config for b in ("full", 5000))
    assert (full["steps"], full["fields"]["std_loss_weight"]) == (240, 1e4)
    assert (part["steps"], part["fields"]["std_loss_weight"]) == (400, 100)
    # What an ablation changes stands in either setting.
    part = make_job(table, table.row("no std loss"), 0, **{**SETTINGS, "batch": 5000})
    assert (part.config["steps"], part.config["fields"]["std_loss_weight"]) == (400, 0)
    Lines(tmp_path).append("ablations", line_of(part, 0.5))
    write_report(tmp_path, tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    assert "| no std loss | 50.0" in text
    assert "no std loss has steps 400, penalty_anneal_steps 80, inner_learning_rate 0.1." in text


def test_a_line_that_was_cut_off_is_left_out_and_overwritten(tmp_path):
    lines, job = Lines(tmp_path), make_job(TABLES["k5"], TABLES["k5"].rows[0], 0, **SETTINGS)
    lines.append("k5", line_of(job, 0.5))
    with (tmp_path / "k5.jsonl").open("a") as file:
        file.write('{"config": {"tab')
    assert [line["test"]["p=0.9"]["accuracy"] for line in lines.read("k5")] == [0.5]
    lines.append("k5", line_of(job, 0.6))
    assert [line["test"]["p=0.9"]["accuracy"] for line in lines.read("k5")] == [0.5, 0.6]


def test_a_line_in_the_middle_that_is_no_json_is_named(tmp_path):
    (tmp_path / "k5.jsonl").write_text("nonsense\n{}\n")
    with pytest.raises(ValueError, match=r"Line 1 of .*k5\.jsonl is no JSON"):
        Lines(tmp_path).read("k5")


def test_the_report_shows_mean_deviation_and_standard_error_and_keeps_settings_apart(tmp_path):
    table = TABLES["half"]
    lines = Lines(tmp_path)
    for seed, accuracy in enumerate((0.60, 0.64)):
        lines.append("half", line_of(make_job(table, table.row("irmv1"), seed, **SETTINGS), accuracy))
    small = make_job(table, table.row("irmv1"), 0, **{**SETTINGS, "batch": 2500})
    lines.append("half", line_of(small, 0.30))
    old = json.loads(json.dumps(line_of(make_job(table, table.row("irmv1"), 2, **SETTINGS), 0.99)))
    old["config"]["fields"]["learning_rate"] = 1.0  # Of a definition that is no longer the table's.
    lines.append("half", old)

    write_report(tmp_path, tmp_path / "report.md")

    text = (tmp_path / "report.md").read_text()
    full, batches = text.split("### Full batch; some digits")[1].split("### Batches of 2,500 rows; some digits")
    # se = √(0.62 · 0.38 / 1000) = 1.53 points; sd = 0.04/√2 = 2.83 points.
    assert "| irmv1 | 62.0 ± 2.8 (1.5) | 62.0 ± 2.8 (1.5) | 62.0 ± 2.8 (1.5) | 2 | 58.5 ± 2.5 |" in full
    assert "| irmv1 | 30.0 (1.4) |" in batches
    assert "99.0" not in text
    assert (tmp_path / "half_full.png").stat().st_size > 5000


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
    mirrored = {"validation": {"p=0.1": {"accuracy": 0.2}, "p=0.2": {"accuracy": 0.1}}}
    assert "mirrored" in _warnings(mirrored, 2)[0]
    guessing = {"validation": {"p=0.1": {"accuracy": 0.5}, "p=0.2": {"accuracy": 0.51}}}
    assert "no better than guessing" in _warnings(guessing, 2)[0]
    assert _warnings({"validation": {"p=0.1": {"accuracy": 0.7}, "p=0.2": {"accuracy": 0.7}}}, 2) == []


def test_the_time_left_is_that_of_the_same_rows():
    table = TABLES["half"]
    jobs = [make_job(table, row, seed, **SETTINGS) for row in table.rows[:2] for seed in (0, 1)]
    first = {**line_of(jobs[0], 0.5), "train_seconds": 10.0}
    second = {**line_of(jobs[2], 0.5), "train_seconds": 30.0}
    assert time_left([jobs[1], jobs[3]], {jobs[0].key: first, jobs[2].key: second}, 1) == 40.0
    assert time_left(jobs[1:], {}, 1) is None
