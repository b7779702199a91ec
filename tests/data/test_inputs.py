"""Every input of `inputs.py` through `inspect`, `evaluate` and what `train` reads: the same in all of them."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner

from hf_metairm.cli import app
from hf_metairm.data import ReadOptions, load_own, open_dataset, open_splits
from hf_metairm.experiments.finetune_text import main as train
from hf_metairm.models import BagOfEmbeddingsClassifier, BagOfEmbeddingsConfig, word_tokenizer

from ..models.tiny import save_tiny_encoder
from .inputs import LABELS, READ, SITES, TEXTS, lines, words
from .refused_inputs import REFUSED
from .refused_models import REFUSED as REFUSED_MODELS
from .refused_models import spoiled


@pytest.fixture(scope="module")
def look(tmp_path_factory):
    """Gives the path of an input, and what `inspect` says of it, once for all tests."""
    folder, found = tmp_path_factory.mktemp("inputs"), {}

    def looked(entry):
        path = folder / entry.file
        if path not in found:
            entry.make(path)
            arguments = ["inspect", str(path), "--environment_column", "site", "--json", *entry.arguments]
            found[path] = CliRunner().invoke(app, arguments)
            assert found[path].exception is None or isinstance(found[path].exception, SystemExit), entry.what
        return path, found[path]

    return looked


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
def test_what_is_read(entry, look, checkpoint):
    path, result = look(entry)
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
def test_what_is_refused(entry, look, checkpoint):
    path, result = look(entry)
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


# Models and settings -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A BERT with a head for two classes without names, and its tokenizer."""
    folder = tmp_path_factory.mktemp("sound")
    encoder = save_tiny_encoder(folder / "encoder")
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    model.save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def sentence_of(sound, tmp_path_factory):
    """Gives the sentence that refuses a case, once for all tests."""
    place = tmp_path_factory.mktemp("models")
    said = {}

    def refuse(case):
        if case not in said:
            folder = place / f"{REFUSED_MODELS.index(case)}"
            folder.mkdir()
            model, rows = spoiled(case, sound, folder / "model"), folder / "rows.csv"
            rows.write_text(words(*case.rows))
            said[case] = refusal(case, model, rows, folder / "out").replace(f"{folder}{os.sep}", "")
        return said[case]

    return refuse


def refusal(case, model, rows, out):
    if case.command == "evaluate":
        result = CliRunner().invoke(
            app, ["evaluate", str(model), str(rows), "--environment_column", "site", "--device", "cpu", *case.words]
        )
        status, errors = result.exit_code, result.stderr
    else:
        base = ["--dataset", str(rows), "--text_column", "text", "--environment_column", "site", "--use_cpu", "true"]
        base += ["--model_name_or_path", str(model), "--output_dir", str(out), "--report_to", "none"]
        given = io.StringIO()
        with pytest.raises(SystemExit) as stopped, redirect_stderr(given), redirect_stdout(io.StringIO()):
            train([*base, "--test_share", "0.5", "--trainable", "head", *case.words])
        status, errors = stopped.value.code, given.getvalue()
    assert status == 2, errors
    assert "Traceback" not in errors
    (line,) = (line for line in errors.splitlines() if line.startswith("Error: "))
    return line.removeprefix("Error: ")


@pytest.mark.parametrize("case", REFUSED_MODELS, ids=lambda case: f"{case.command}: {case.what}")
def test_models_and_settings_that_are_refused(case, sentence_of):
    with pytest.raises(ValueError, match=case.refused):
        raise ValueError(sentence_of(case))


# The page ----------------------------------------------------------------------------------------------------------

HEAD = """# What each input gets

Every command reads files in the same way. This page is written by the test that runs all of these inputs through the
command line (`HF_METAIRM_WRITE=1 pytest tests/data/test_inputs.py`). The columns are `text`, `label` and `site`.

In short: CSV and TSV have no types, so every field is the word that stands there; JSON and Parquet keep theirs. TSV
has no quotation marks unless you ask for them (`--quoted`). Nothing stands for a missing value unless you say so
(`--missing_values NA`), but a label or a site may not be blank. Labels have one list of names over all splits;
integers are sorted by value, and `1.0` is `1`. Texts may be blank, and as long as they like: they are cut to
`--max_length` tokens, and to what the model has positions for.
"""


def outcome(entry, looked):
    path, result = looked
    if result.exit_code:
        sentence = result.stderr.splitlines()[-1].replace(f"{path.parent}{os.sep}", "")
        return in_a_cell(sentence.removeprefix("Error: "))
    found = json.loads(result.stdout)["environments"]
    rows = sum(environment["rows"] for environment in found)
    names = ", ".join(code(environment["name"]) for environment in found)
    return f"{rows} row{'s' * (rows > 1)}; sites {names}; labels {', '.join(map(code, found[0]['labels']))}"


def code(name):
    return f"<code>{name.replace('|', '&#124;')}</code>" if "|" in name else f"`{name}`"


def in_a_cell(sentence):
    return sentence.replace("|", "\\|").replace("<", "&lt;")


def test_the_page_says_what_happens(look, sentence_of):
    page = [HEAD]
    for title, entries in (("Read", READ), ("Refused", REFUSED)):
        page += [f"## {title}", "", "| input | file | what comes out |", "|---|---|---|"]
        page += [f"| {entry.what} | `{entry.file}` | {outcome(entry, look(entry))} |" for entry in entries]
        page.append("")
    page += ["## Models and settings that are refused", "", "| what | command | the sentence |", "|---|---|---|"]
    page += [f"| {case.what} | `{case.command}` | {in_a_cell(sentence_of(case))} |" for case in REFUSED_MODELS]
    text = "\n".join([*page, ""])
    file = Path(__file__).parents[2] / "docs" / "inputs.md"
    if os.environ.get("HF_METAIRM_WRITE") == "1":
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text, "run it with HF_METAIRM_WRITE=1 and look at what has changed"
