import json

import datasets
import numpy as np
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from hf_metairm.cli.build_dataset import build_dataset, parse_field
from hf_metairm.cli.inspect import inspect
from hf_metairm.inspection import inspect_dataset
from hf_metairm.inspection.causal import causal_prediction
from hf_metairm.inspection.cues import CueMeter
from hf_metairm.inspection.texts import text_cues


@pytest.fixture(scope="module")
def app():
    app = typer.Typer()
    app.command("build-dataset")(build_dataset)
    app.command("inspect")(inspect)
    return app


@pytest.fixture(scope="module")
def made():
    """4,000 rows: `shortcut` follows the label more in one environment, `content` equally, `noise` not at all."""
    rng = np.random.default_rng(0)
    n = 4000
    environment = np.arange(n) % 2
    label = rng.integers(0, 2, n)
    follows = lambda p: np.where(rng.random(n) < p, 1 - label, label)  # noqa: E731
    content, shortcut = follows(0.25), follows(np.where(environment == 0, 0.1, 0.3))
    words = rng.choice(["fine", "film", "plot", "actor"], (n, 3))
    return datasets.Dataset.from_dict(
        {
            "text": [
                f"{' '.join(w)} {'great' if c else 'poor'}{'!' if s else '.'}"
                for w, c, s in zip(words, content, shortcut)
            ],
            "content": content,
            "shortcut": [["no", "yes"][s] for s in shortcut],
            "noise": rng.normal(size=n),
            "size": label * 0.5 + rng.normal(size=n),
            "tags": [[1, 2]] * n,
            "label": label,
            "environment": [["a", "b"][e] for e in environment],
        }
    )


def test_cues_that_differ_are_told_from_those_that_do_not(made):
    report = inspect_dataset(made)
    assert [(share.name, share.rows) for share in report.environments] == [("a", 2000), ("b", 2000)]
    assert abs(report.environments[0].labels["1"] - 0.5) < 0.05
    differing = {(cue.column, cue.what) for cue in report.differing}
    assert {("shortcut", "= 'yes'"), ("text", "ends in '!'"), ("text", "ends in '.'")} <= differing
    assert ("text", "has '.'") not in differing, "the same rows end in it"
    assert not {column for column, _ in differing} & {"content", "noise", "size"}
    stable = {(cue.column, cue.what): cue for cue in report.stable}
    assert {("content", "= 1"), ("text", "has 'great'"), ("size", "value")} <= set(stable)
    assert not any("film" in what for _, what in stable)
    assert report.skipped == ["tags"]
    assert report.warnings == []
    shortcut = next(cue for cue in report.differing if cue.what == "= 'yes'")
    # For balanced truth values the correlation is 1 − 2p.
    assert shortcut.label == "1"
    assert shortcut.strength["a"] == pytest.approx(0.8, abs=0.06)
    assert shortcut.strength["b"] == pytest.approx(0.4, abs=0.08)
    assert shortcut.p_value < 1e-20
    assert json.loads(json.dumps(report.to_dict()))["environments"][0]["rows"] == 2000


def test_a_mark_planted_at_the_start_is_shown_as_it_is_written(made):
    rng = np.random.default_rng(2)
    mark = np.where(rng.random(len(made)) < np.where(np.array(made["environment"][:]) == "a", 0.95, 0.6), 1, 0)
    label = np.array(made["label"][:])
    texts = [f"{'[B]' if m == y else '(a)'} {t}" for m, y, t in zip(mark, label, made["text"][:])]
    marked = made.select_columns(["label", "environment"]).add_column("text", texts)
    report = inspect_dataset(marked, most_cues=30)
    assert "starts with '[B]'" in {cue.what for cue in report.differing}


def test_unseen_environments_are_left_out(made, app, tmp_path):
    report = inspect_dataset(made, unseen_environments=["b"])
    assert [share.name for share in report.environments] == ["a"]
    with pytest.raises(ValueError, match="No rows of environment 'c'; there are a, b"):
        inspect_dataset(made, unseen_environments=["c"])
    with pytest.raises(ValueError, match="Every environment is unseen"):
        inspect_dataset(made, unseen_environments=["a", "b"])
    made.select_columns(["text", "label", "environment"]).to_csv(tmp_path / "rows.csv")
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "rows.csv"), "--unseen_environments", "b", "--json"])
    assert [share["name"] for share in json.loads(result.stdout)["environments"]] == ["a"]


def test_many_sites_that_come_in_turn_are_all_measured(made, monkeypatch):
    monkeypatch.setattr("hf_metairm.inspection.dataset.CUE_ROWS", 400)
    turn = made.remove_columns("environment").add_column("environment", [f"s{i % 100}" for i in range(len(made))])
    report = inspect_dataset(turn)
    assert len(report.environments) == 100
    assert len(report.warnings) < 15
    assert "95 more environments are tiny." in report.warnings


def test_chance_in_many_small_sites_is_called_neither_different_nor_stable(made):
    many = made.remove_columns("environment").add_column("environment", [f"s{i % 80}" for i in range(len(made))])
    found = {(cue.column, cue.what) for cue in inspect_dataset(many, most_cues=100).stable}
    assert ("content", "= 1") in found
    assert {column for column, _ in found} <= {"content", "size", "text", "shortcut"}
    assert not any("film" in what for _, what in found), "a word that says nothing is strong in some of 80 sites"


def test_a_cue_is_its_correlation(made):
    """Counts by environment and label give what the textbook's formula gives, for values and for rows."""
    rng = np.random.default_rng(3)
    labels, environments = rng.integers(0, 3, 500), rng.integers(0, 4, 500)
    values, has = rng.normal(size=500) + 1e6 + labels, rng.random(500) < 0.3 + 0.2 * (labels == 2)
    values[environments == 3], has[environments == 2] = 7.1, True
    meter = CueMeter(labels, ["a", "b", "c"], environments, ["w", "x", "y", "z"])
    for x, found in (
        (values, meter.measure("", "", values)),
        (has.astype(float), meter.count("", "", np.flatnonzero(has))),
    ):
        y = labels == "abc".index(found.label)
        for e in range(4):
            here = environments == e
            constant = np.ptp(x[here]) == 0
            expected = 0.0 if constant else np.corrcoef(x[here], y[here])[0, 1]
            assert found.r[e] == pytest.approx(expected, abs=1e-6)
        assert found.label == "c"


def test_starts_and_ends_are_shown_as_they_are_written(monkeypatch):
    monkeypatch.setattr("hf_metairm.inspection.texts.MOST_CHARACTERS", 0)
    some = ["[B]fine Film", "[B] plot. <END>", "good [B] GOOD", "bad GOOD", None, "x" * 900 + " done!", "well done !"]
    texts = pa.chunked_array([some[:3], some[3:] + some * 29])
    found = {what: rows.tolist() for what, rows in text_cues(texts)}
    every = lambda *places: [k for k in range(210) if k % 7 in places]  # noqa: E731
    assert found["starts with '[B]'"] == every(0, 1)
    assert found["starts with '[B]fine'"] == every(0)
    assert found["ends in '<END>'"] == every(1)
    assert found["ends in 'GOOD'"] == every(2, 3)
    assert found["ends in '!'"] == every(5, 6)
    assert found[f"starts with {'x' * 100!r}"] == every(5), "of long texts, the start and the end"
    assert found["has '[B]'"] == every(0, 1, 2)
    assert not [what for what in found if "'b'" in what or "has 'film'" in what]
    assert len({tuple(rows) for rows in found.values()}) == len(found), "what the same rows have is named once"


def test_chance_differences_are_rarely_called_differences():
    rng = np.random.default_rng(1)
    n = 3000
    rows = {f"x{i}": rng.integers(0, 3, n) for i in range(60)}
    rows |= {"label": rng.integers(0, 3, n), "environment": rng.integers(0, 3, n)}
    report = inspect_dataset(datasets.Dataset.from_dict(rows))
    assert report.differing == []
    assert any("look alike" in warning for warning in report.warnings)


def test_warnings(made):
    one = made.filter(lambda row: row["environment"] == "a")
    assert any("There is one environment, 'a'" in w for w in inspect_dataset(one).warnings)
    tiny = made.select(range(1000)).filter(lambda row, i: row["environment"] == "a" or i < 40, with_indices=True)
    assert any("Environment 'b' is tiny (20 rows; the largest has 500)" in w for w in inspect_dataset(tiny).warnings)
    lacking = made.filter(lambda row: row["environment"] == "a" or row["label"] == 1)
    assert any("Environment 'b' has no row with label 0" in w for w in inspect_dataset(lacking).warnings)


def test_images_are_measured(bundled):
    report = inspect_dataset(bundled("colored_mnist", "binary").as_dataset("train"))
    assert {"image", "color"} == {cue.column for cue in report.differing}
    assert ("clean_label", "= 0-4") in {(cue.column, cue.what) for cue in report.stable}


@pytest.mark.parametrize(
    ("change", "fields", "sentence"),
    [
        (lambda d: d, {"label_column": "class"}, "no column 'class'; the columns are text, content"),
        (lambda d: d, {"label_column": "environment"}, "both 'environment'"),
        (lambda d: d, {"label_column": "text"}, "distinct values|no class"),
        (lambda d: d, {"environment_column": "tags"}, "holds lists or records"),
        (lambda d: d.select([]), {}, "has no rows"),
        (lambda d: d, {"most_cues": -1}, "most_cues=-1 is refused"),
        (
            lambda d: d.map(lambda row, i: {"environment": None if i < 3 else "a"}, with_indices=True),
            {},
            "3 rows have no value in column 'environment'",
        ),
    ],
)
def test_bad_input_is_refused_with_one_sentence(made, change, fields, sentence):
    small = made.select(range(2000)).map(lambda row, i: {"text": f"{i}"}, with_indices=True)
    with pytest.raises(ValueError, match=sentence):
        inspect_dataset(change(small), **fields)


def test_causal_prediction_finds_the_parent():
    pytest.importorskip("icpy")
    rng = np.random.default_rng(0)
    n = 3000
    environment = np.arange(n) % 2
    cause = rng.random(n) < np.where(environment == 0, 0.2, 0.7)  # its share shifts, so the empty set is not invariant
    label = cause ^ (rng.random(n) < 0.1)
    effect = label ^ (rng.random(n) < np.where(environment == 0, 0.1, 0.3))
    rows = datasets.Dataset.from_dict(
        {
            "cause": ["yes" if value else "no" for value in cause],
            "effect": effect,
            "number": rng.normal(size=n),
            "label": label.astype(int),
            "environment": environment,
        }
    )
    found = causal_prediction(
        rows, ["cause", "effect", "number"], environment_column="environment", label_column="label"
    )
    cause, effect, number = found
    assert cause.invariant_p_value > 0.05 > effect.invariant_p_value
    assert cause.parent_p_value < 1e-6
    assert effect.parent_p_value > 0.05
    assert number.parent_p_value > 0.05
    with pytest.raises(ValueError, match="Name 1 to 8 columns"):
        causal_prediction(rows, [], environment_column="environment", label_column="label")
    with pytest.raises(ValueError, match="no column 'x'"):
        causal_prediction(rows, ["x"], environment_column="environment", label_column="label")


# The commands ------------------------------------------------------------------------------------------------------


def test_inspect_command(app, made, tmp_path):
    made.remove_columns("tags").to_csv(tmp_path / "rows.csv")
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "rows.csv")])
    assert result.exit_code == 0, result.output
    assert "Cues whose strength differs" in result.output
    assert "ends in '!'" in result.output
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "rows.csv"), "--json"])
    assert json.loads(result.stdout)["differing"][0]["p_value"] < 1e-10
    made.save_to_disk(tmp_path / "saved")
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "saved"), "--label_column", "klass"])
    assert result.exit_code == 2
    assert "Error: There is no column 'klass'" in result.output
    for name, content, sentence in (
        ("rows.parquet", "no parquet", "rows.parquet cannot be read as parquet"),
        ("rows.xlsx", "x", "files of kind '.xlsx' cannot be read; give .parquet, .csv"),
    ):
        (tmp_path / name).write_text(content)
        result = CliRunner().invoke(app, ["inspect", str(tmp_path / name)])
        assert result.exit_code == 2
        assert sentence in result.output.replace("\n", " ")


def test_build_command(app, tmp_path):
    arguments = ["build-dataset", "colored_mnist", "--source", "bundled", "--cache_dir", str(tmp_path / "cache")]
    changes = ["--set", "environments=0.3,0.2", "--set", "test_environments=0.9", "--set", "num_classes=4"]
    result = CliRunner().invoke(app, [*arguments, *changes, "--seed", "3", "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "source is 10,000 of MNIST's 70,000 digits" in result.output
    (config,) = [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()]
    loaded = datasets.load_dataset(str(tmp_path / "out"), config, cache_dir=str(tmp_path / "loaded"))
    assert set(loaded["train"]["environment"]) == {"p=0.3", "p=0.2"}
    assert loaded["test"].features["label"].num_classes == 4
    for extra, sentence in (
        (["--config", "k4"], "no config 'k4'; choose binary"),
        (["--set", "num_classes=many"], "'many' is no number"),
        (["--set", "p=0.1"], "no field 'p'"),
        (["--source", str(tmp_path / "nowhere")], "no folder of that name exists"),
    ):
        result = CliRunner().invoke(app, [*arguments, *extra])
        assert result.exit_code == 2
        assert sentence in result.output
    result = CliRunner().invoke(app, ["build-dataset", "mnist"])
    assert "no dataset 'mnist'; choose cad_imdb, civil_comments, colored_mnist or punctuated_sst2" in result.output


def test_parse_field():
    assert parse_field("environments=0.2") == ("environments", (0.2,))
    assert parse_field("environments=0.2,0.1") == ("environments", (0.2, 0.1))
    assert parse_field("patched=true") == ("patched", True)
    assert parse_field("num_classes=4") == ("num_classes", 4)
    with pytest.raises(ValueError, match="write FIELD=VALUE"):
        parse_field("seed")
