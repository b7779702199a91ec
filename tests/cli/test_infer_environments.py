"""`hf-metairm infer-environments` from a file to a file that the other commands read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hf_metairm.cli import app
from hf_metairm.data.own import load_own

from ..inference.made import reviews


def run(*words):
    return CliRunner().invoke(app, ["infer-environments", *map(str, words)])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rows, contradicts = reviews(0, 800)
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    rows.to_csv(path)
    return path, contradicts


def test_from_a_file_to_a_file_that_tune_reads(file):
    path, contradicts = file
    result = run(path)
    assert result.exit_code == 0, result.output
    written = path.with_name("reviews_environments.csv")
    assert written.read_text().splitlines()[0] == "text,label,environment"
    assert written.with_suffix(".png").is_file()
    for said in ("against", "ends in '!'", "Environments inferred by eiil", str(written)):
        assert said in result.output.replace("\n", "") or said in result.output
    assert "Warning: The split" not in result.output
    assert "p: < 1e-15)" in " ".join(result.output.split()), "no p-value is 0"
    own = load_own(str(written), text_column=None, label_column="label", environment_column="environment")
    assert set(own.train["environment"]) == {"with", "against"}
    assert len(own.train) + len(own.test) == 800
    lines = [line.rsplit(",", 1)[1] == "against" for line in written.read_text().splitlines()[1:]]
    assert (np.array(lines) == contradicts).mean() > 0.97


def test_other_kinds_of_file_another_name_and_json(file, tmp_path):
    result = run(
        file[0], "--method", "jtt", "--environment_column", "side", "--output", tmp_path / "out.parquet", "--json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["method"] == "jtt"
    assert sum(found["rows"].values()) == 800
    assert found["held_out"]["p_value"] < 0.01
    assert found["warnings"] == []
    assert abs(found["inspection"]["differing"][0]["strength"]["with"]) > 0.9
    own = load_own(found["file"], text_column="text", label_column="label", environment_column="side")
    assert len(own.train) + len(own.test) == 800


def test_without_a_cue_it_warns_and_writes_nevertheless(tmp_path):
    reviews(0, 400, mark=None)[0].to_json(tmp_path / "rows.jsonl")
    result = run(tmp_path / "rows.jsonl")
    assert result.exit_code == 0
    assert "no better than chance" in " ".join(result.output.split())
    assert (tmp_path / "rows_environments.jsonl").is_file()


def test_refused_in_one_line(file, tmp_path):
    path, _ = file
    cases = [
        ([path, "--environment_column", "label"], "There is a column 'label' already"),
        ([path, "--label_column", "stars"], "There is no column 'stars'"),
        ([path, "--text_column", "body"], "There is no column 'body'"),
        ([path, "--output", path], "is the file that is read"),
        ([path, "--output", tmp_path / "a.xlsx"], "cannot be written"),
        ([path, "--method", "george"], "use one of eiil, jtt"),
        ([path, "--model_name_or_path", "no/where"], "no/where"),
    ]
    for words, sentence in cases:
        result = run(*words)
        assert result.exit_code == 2, (words, result.output)
        line = result.stderr.strip().splitlines()[-1]
        assert line.startswith("Error: ")
        assert sentence in line
    assert not (tmp_path / "a.xlsx").exists()
