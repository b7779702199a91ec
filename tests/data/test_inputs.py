"""Every input of `inputs.py` through `inspect`, `evaluate` and what `train` reads: the same in all of them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hf_metairm.cli import app
from hf_metairm.data import ReadOptions, load_own, open_dataset, open_splits
from hf_metairm.models import BagOfEmbeddingsClassifier, BagOfEmbeddingsConfig, word_tokenizer

from .inputs import LABELS, READ, SITES, TEXTS, lines, words
from .refused_inputs import REFUSED


def look(entry, folder):
    """Exit status and output of `inspect`, with the findings where there are any."""
    path = folder / entry.file
    entry.make(path)
    arguments = ["inspect", str(path), "--environment_column", "site", "--json", *entry.arguments]
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), entry.what
    return path, result


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model of two classes without names."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = word_tokenizer(TEXTS)
    BagOfEmbeddingsClassifier(BagOfEmbeddingsConfig(len(tokenizer), 4, 4, num_labels=2)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def evaluate(entry, path, checkpoint, *more):
    """What `evaluate` says of the same file."""
    columns = ["--environment_column", "site", "--split", "train", "--device", "cpu", "--json"]
    result = CliRunner().invoke(app, ["evaluate", str(checkpoint), str(path), *columns, *entry.arguments, *more])
    assert result.exception is None or isinstance(result.exception, SystemExit), entry.what
    return result


def options(entry):
    return ReadOptions(entry.missing, {"--quoted": True, "--not_quoted": False}.get((*entry.arguments, "")[0]))


@pytest.mark.parametrize("entry", READ, ids=lambda entry: entry.what)
def test_what_is_read(entry, checkpoint, tmp_path):
    path, result = look(entry, tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    texts = entry.texts or TEXTS
    sites, labels = entry.sites or sorted(set(SITES)), entry.labels or sorted(set(LABELS))
    assert [environment["name"] for environment in found["environments"]] == sites
    assert list(found["environments"][0]["labels"]) == labels
    assert sum(environment["rows"] for environment in found["environments"]) == len(texts)
    if path.is_file():
        assert f"{path}: {len(texts):,} rows (" in result.stderr
    evaluated = evaluate(entry, path, checkpoint, "--labels", ",".join([*labels, "other"][:2]))
    assert evaluated.exit_code == 0, evaluated.output
    seen = json.loads(evaluated.stdout)
    assert [environment["name"] for environment in seen["environments"]] == sites
    assert sum(environment["rows"] for environment in seen["environments"]) == len(texts)
    assert {
        label for e in seen["environments"] for label, row in zip(seen["labels"], e["confusion"]) if sum(row)
    } == set(labels)
    rows = open_splits(str(path), options=options(entry))
    assert rows["train"]["text"][:] == texts
    if len(texts) < 4:
        return
    own = load_own(
        str(path),
        text_column="text",
        label_column="label",
        environment_column="site",
        unseen_environments=sites[:1],
        test_share=0.5,
        options=options(entry),
    )
    assert sites[0] not in own.train["environment"][:]
    assert sites[0] in own.test["environment"][:] or "test" in rows
    assert own.train.features == own.test.features
    assert own.train.features["label"].names == labels


@pytest.mark.parametrize("entry", REFUSED, ids=lambda entry: entry.what)
def test_what_is_refused(entry, checkpoint, tmp_path):
    path, result = look(entry, tmp_path)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr
    with pytest.raises(ValueError, match=entry.refused):
        raise ValueError(errors[0])
    with pytest.raises((ValueError, FileNotFoundError), match=entry.refused):
        load_own(
            str(path), text_column="text", label_column="label", environment_column="site", options=options(entry)
        )
    evaluated = evaluate(entry, path, checkpoint)
    assert evaluated.exit_code == 2, evaluated.output
    assert [line for line in evaluated.stderr.splitlines() if line.startswith("Error: ")] == errors


def test_there_are_enough_of_them():
    inputs = READ + REFUSED
    assert len(inputs) >= 60
    assert len({entry.what for entry in inputs}) == len({entry.file for entry in inputs}) == len(inputs)


def test_many_files_are_said_in_one_line(tmp_path):
    for number in range(30):
        (tmp_path / f"piece{number}.jsonl").write_text(lines())
    said = []
    rows = open_splits(str(tmp_path), say=said.append)
    assert len(rows["train"]) == 120
    assert said == [f"{tmp_path}: 120 rows in 30 files (text, label, site)."]


def test_files_whose_names_say_no_split_are_left_out_beside_those_that_do(tmp_path):
    for name in ("train.csv", "dev.csv", "more.csv", "holdout-00000-of-00001.csv"):
        (tmp_path / name).write_text(words())
    said = []
    rows = open_splits(str(tmp_path), say=said.append)
    assert list(rows) == ["train", "validation", "holdout"]
    assert said[0] == f"{tmp_path / 'more.csv'} is left out: its name says no split, and those of other files do."


@pytest.mark.parametrize(
    ("split", "rows"), [("train", 4), ("train+validation", 8), ("train[:50%]", 2), ("validation[1:2]+train", 5)]
)
def test_splits_are_chosen_as_elsewhere(tmp_path, split, rows):
    for name in ("train.csv", "dev.csv"):
        (tmp_path / name).write_text(words())
    assert len(open_dataset(str(tmp_path), None, split)) == rows
    with pytest.raises(ValueError, match="has no split 'exam'; it has train, validation"):
        open_dataset(str(tmp_path), None, "exam")


def own(path, **changes):
    columns = {"text_column": "text", "label_column": "label", "environment_column": "site"}
    return load_own(str(path), **{**columns, **changes})


def test_labels_mean_the_same_in_train_and_test(tmp_path):
    (tmp_path / "train.csv").write_text(words(labels=["9", "10", "9", "10"]))
    (tmp_path / "test.csv").write_text(words(["x"], ["10"], ["rome"]))
    data = own(tmp_path)
    assert data.train.features["label"].names == data.test.features["label"].names == ["9", "10"]
    assert data.train["label"][:] == [0, 1, 0, 1]
    assert data.test["label"][:] == [1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"text_column": "body"},
            "no column 'body'; the columns are text, label, site: name yours with --text_column",
        ),
        (
            {"label_column": "text", "text_column": "text"},
            "text_column and label_column are both 'text'; name two columns",
        ),
        ({"unseen_environments": ["berlin"]}, "No rows of environment 'berlin'; there are paris, rome"),
        ({"unseen_environments": ["paris", "rome"]}, "Every environment is unseen"),
        ({"test_share": 1.0}, "test_share must lie between 0 and 1"),
    ],
)
def test_what_load_own_refuses(tmp_path, changes, sentence):
    (tmp_path / "rows.csv").write_text(words())
    with pytest.raises(ValueError, match=sentence):
        own(tmp_path / "rows.csv", **changes)


def test_a_text_is_no_label(tmp_path):
    texts = [f"text {number}" for number in range(1200)]
    (tmp_path / "rows.csv").write_text(words(texts, texts, ["a", "b"] * 600))
    with pytest.raises(ValueError, match=r"'label' has 1,200 distinct values in 1,200 rows, so it is no class label"):
        own(tmp_path / "rows.csv")
