"""How hard the label is in each environment alone, against noise that was put in and against scikit-learn."""

import json

import datasets
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from hf_metairm.cli.inspect import inspect
from hf_metairm.inspection import inspect_dataset
from hf_metairm.inspection.bag_of_words import cross_validated
from hf_metairm.inspection.difficulty import Difficulty, difficulty_warnings


def reviews(rng, n, noise, classes=2, mark=None):
    """Texts of six words; three in ten words are the class's own. `noise` is the share of labels that are wrong."""
    y = rng.integers(0, classes, n)
    own = rng.random((n, 6)) < 0.3
    words = np.where(own, y[:, None] * 20 + rng.integers(0, 20, (n, 6)), rng.integers(0, 200, (n, 6)))
    label = np.where(rng.random(n) < noise, (y + 1) % classes, y)
    ends = np.full(n, "") if mark is None else np.where(rng.random(n) < mark, np.array([".", "!"])[label], "?")
    return [" ".join(f"w{word}" for word in row) + end for row, end in zip(words, ends)], label


def made(seed, *noises, rows=1500, **fields):
    rng = np.random.default_rng(seed)
    sizes = rows if isinstance(rows, tuple) else (rows,) * len(noises)
    parts = [reviews(rng, n, noise, **fields) for n, noise in zip(sizes, noises)]
    return datasets.Dataset.from_dict(
        {
            "id": [f"i{k % 60}" for k in range(sum(sizes))],
            "text": [text for texts, _ in parts for text in texts],
            "label": np.concatenate([label for _, label in parts]),
            "environment": [f"e{e}" for e, n in enumerate(sizes) for _ in range(n)],
        }
    )


def told(report):
    return [warning for warning in report.warnings if "differ in difficulty" in warning]


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_difficulty(seed):
    report = inspect_dataset(made(seed, 0.0, 0.1, 0.3))
    clean, some, much = report.difficulty
    assert (clean.environment, clean.rows, much.environment) == ("e0", 1500, "e2")
    # A model that is right on a share p of clean labels has p(1 − q) + (1 − p)q where q of them are wrong, or less: it
    # learns from the wrong ones, too.
    for one, q in ((some, 0.1), (much, 0.3)):
        assert clean.accuracy - one.accuracy > q * (2 * clean.accuracy - 1) - 3 * (2**0.5) * one.standard_error
    assert clean.risk < some.risk < much.risk
    assert much.most_frequent == pytest.approx(0.5, abs=0.05)
    (warning,) = told(report)
    assert f"easiest to tell in 'e0' ({100 * clean.accuracy:.1f} % right, {clean.risk:.2f} nats" in warning
    assert f"hardest in 'e2' ({100 * much.accuracy:.1f} % right" in warning
    assert "hf-metairm tune" in warning


def test_the_standard_error_is_that_of_other_rows():
    """The binomial one is too small by half: other rows would make other models, too."""
    found = [inspect_dataset(made(seed, *[0.2] * 12, rows=500)).difficulty for seed in range(4)]
    spread = np.mean([np.var([one.accuracy for one in some], ddof=1) for some in found]) ** 0.5
    assert spread == pytest.approx(np.mean([one.standard_error for some in found for one in some]), rel=0.25)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_equal_noise_is_no_difference(seed, noise):
    report = inspect_dataset(made(seed, noise, noise, noise))
    assert len(report.difficulty) == 3
    assert told(report) == []


@pytest.mark.parametrize("seed", range(3))
def test_fewer_rows_are_not_harder(seed):
    """A classifier of 700 rows knows less than one of 3,000; all are measured on as many."""
    report = inspect_dataset(made(seed, 0.0, 0.0, 0.0, rows=(5000, 700, 100)))
    assert [(one.environment, one.rows) for one in report.difficulty] == [("e0", 700), ("e1", 700)]
    assert told(report) == []


def test_a_mark_that_is_a_shortcut_is_no_difficulty():
    rng = np.random.default_rng(0)
    (strong, first), (weak, second) = reviews(rng, 1500, 0.2, mark=0.9), reviews(rng, 1500, 0.2, mark=0.2)
    rows = {
        "text": strong + weak,
        "label": np.concatenate([first, second]),
        "environment": ["a"] * 1500 + ["b"] * 1500,
    }
    report = inspect_dataset(datasets.Dataset.from_dict(rows))
    assert "ends in '!'" in {cue.what for cue in report.differing}
    assert len(report.difficulty) == 2
    assert told(report) == []


@pytest.mark.parametrize(("classes", "noise"), [(2, 0.1), (3, 0.3)])
def test_scikit_learn_says_the_same(classes, noise):
    linear_model = pytest.importorskip("sklearn.linear_model")
    selection = pytest.importorskip("sklearn.model_selection")
    vectors = pytest.importorskip("sklearn.feature_extraction.text")
    texts, labels = reviews(np.random.default_rng(4), 1000, noise, classes)
    right, nats = cross_validated(texts, labels)
    has = vectors.CountVectorizer(binary=True, min_df=5, max_features=2000).fit_transform(texts)
    # Of two classes scikit-learn penalizes the difference of the two rows of W: ½‖w‖² there is ‖W‖² here.
    model = linear_model.LogisticRegression(C=2.0 if classes == 2 else 1.0, max_iter=1000, tol=1e-6)
    folds = selection.PredefinedSplit(np.arange(len(texts)) % 5)
    chances = selection.cross_val_predict(model, has, labels, cv=folds, method="predict_proba")
    assert abs(right.mean() - (chances.argmax(1) == labels).mean()) < 0.01
    assert nats == pytest.approx(-np.log(chances[np.arange(len(texts)), labels]), abs=0.01)


def test_extremes_of_many_environments_are_further_apart_by_chance():
    def warned(gap, between):
        middle = [Difficulty(f"m{k}", 600, 0.8, 0.016, 0.5, 0.5) for k in range(between)]
        ends = [Difficulty(name, 600, 0.8 + side * gap / 2, 0.016, 0.5, 0.5) for name, side in (("a", 1), ("b", -1))]
        return len(difficulty_warnings(ends + middle))

    assert (warned(0.06, 0), warned(0.08, 0)) == (0, 1)  # three standard errors are 0.068
    assert (warned(0.08, 10), warned(0.1, 10)) == (0, 1)
    exact = [Difficulty(name, 3000, share, 0.001, 0.5, 0.5) for name, share in (("a", 0.9), ("b", 0.86))]
    assert difficulty_warnings(exact) == []  # four points are certain and few


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.remove_columns("text").remove_columns("id"),
        lambda rows: rows.map(lambda row, k: {"text": f"u{k}", "id": "x"}, with_indices=True),
        lambda rows: rows.map(lambda row, k: {"text": str(k % 60), "id": "x"}, with_indices=True),
        lambda rows: rows.select(range(400, 700)),
        lambda rows: rows.filter(lambda row: row["environment"] == "e0"),
    ],
    ids=["no text", "no word twice", "numbers", "few rows", "one environment"],
)
def test_where_there_is_no_text_or_nothing_to_compare_nothing_is_said(change):
    report = inspect_dataset(change(made(0, 0.0, 0.3, rows=500)))
    assert report.difficulty == []
    assert told(report) == []


def test_the_command_shows_it(tmp_path):
    app = typer.Typer()
    app.command("inspect")(inspect)
    app.callback()(lambda: None)  # so that the command has a name
    made(0, 0.0, 0.4, rows=500).to_csv(tmp_path / "rows.csv")
    printed = CliRunner().invoke(app, ["inspect", str(tmp_path / "rows.csv")])
    assert printed.exit_code == 0, printed.output
    assert "in each environment alone" in " ".join(printed.output.split())
    found = json.loads(CliRunner().invoke(app, ["inspect", str(tmp_path / "rows.csv"), "--json"]).stdout)
    assert [one["environment"] for one in found["difficulty"]] == ["e0", "e1"]
    assert f"{found['difficulty'][0]['accuracy']:.3f} ± " in printed.output
