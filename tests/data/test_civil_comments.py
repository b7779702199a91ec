"""CivilComments by identity, from a small file in the form of WILDS'."""

import csv
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from hf_metairm.cards.dataset_card import dataset_card
from hf_metairm.data import CivilComments, sources
from hf_metairm.data.builders.civil_comments import FILE, IDENTITIES

from .checks import columns


# pandas leaves the first name empty; WILDS has more columns, of which these are some.
HEADER = ["", "id", "split", "comment_text", "toxicity", "insult", *IDENTITIES, "identity_any", "article_id"]


def made_rows(size=600, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        named = np.where(rng.random(8) < 0.15, rng.choice([0.5, 0.9, 1.0], 8), rng.choice([0.0, 0.4], 8))
        toxic = round(float(rng.random()), 3)
        split = ("train", "val", "test")[rng.choice(3, p=(0.6, 0.1, 0.3))]
        shares = [*named.tolist(), float(named.max())]
        rows.append([number, 10_000 + number, split, f'Comment "{number}", it says,\nthis.', toxic, 0.0, *shares, 3])
    return rows


def write_file(folder, rows, header=HEADER):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_file(tmp_path_factory.mktemp("wilds") / "civilcomments_v1.0", made_rows())


def build(folder, cache, **fields):
    builder = CivilComments(source=folder, cache_dir=cache, **fields)
    builder.download_and_prepare()
    return builder


def environment_of(row):
    named = [identity for identity, share in zip(IDENTITIES, row[6:14]) if share >= 0.5]
    return named, named[0] if len(named) == 1 else "several" if named else "none"


def test_rows_are_those_of_the_file(folder, tmp_path):
    rows, seen = made_rows(), {}
    for split, dataset in build(folder.parent, tmp_path).as_dataset().items():
        values = columns(dataset)
        for number, sentence, label, environment, identities in zip(
            values["row"], values["sentence"], values["label"], values["environment"], values["identities"]
        ):
            row = rows[number]
            named, expected = environment_of(row)
            assert (row[2], row[3]) == ({"validation": "val"}.get(split, split), sentence)
            assert label == (row[4] >= 0.5)
            assert (environment, identities) == (expected, ",".join(named))
        seen[split] = values["row"].tolist()
    assert seen["test"] == [row[0] for row in rows if row[2] == "test"]  # all of them, unseen environments too
    for split, their in (("train", "train"), ("validation", "val")):
        wanted = [row[0] for row in rows if row[2] == their and "black" not in environment_of(row)[0]]
        assert seen[split] == wanted


@pytest.mark.parametrize("unseen", [(), ("muslim", "LGBTQ"), ("none",), ("several", "white")])
def test_unseen_environments_are_tested_on_only(folder, tmp_path, unseen):
    builder = build(folder, tmp_path, unseen_environments=unseen)
    everything = {*IDENTITIES, "several", "none"}
    for split, dataset in builder.as_dataset().items():
        assert set(dataset["environment"]) == everything - (set(unseen) if split != "test" else set())
        if split != "test":
            assert not any(set(named.split(",")) & set(unseen) for named in dataset["identities"])


def test_a_part_of_the_training_rows(folder, tmp_path):
    whole = set(build(folder, tmp_path).as_dataset("train")["row"])
    parts = [
        build(folder, tmp_path, train_fraction=0.5, seed=seed).as_dataset("train")["row"][:] for seed in (0, 0, 1)
    ]
    assert parts[0] == parts[1] == sorted(parts[0])
    assert set(parts[0]) != set(parts[2])
    assert all(set(part) < whole and len(part) == round(len(whole) / 2) for part in parts)


def test_a_share_that_nobody_gave_is_none(tmp_path):
    rows = made_rows(100)
    for row in rows:
        row[6:14] = [""] * 8
    builder = build(write_file(tmp_path, rows), tmp_path / "cache")
    assert set(builder.as_dataset("train")["environment"]) == {"none"}


@pytest.mark.parametrize(
    ("header", "change", "sentence"),
    [
        ([name for name in HEADER if name != "id"], lambda row: row[:1] + row[2:], None),  # is not used
        ([name.replace("toxicity", "target") for name in HEADER], list, "has no column toxicity: it is not the"),
        ([name.replace("LGBTQ", "lgbt") for name in HEADER], list, "has no column LGBTQ"),
        (HEADER, lambda row: [*row[:2], "dev", *row[3:]], "a split is train, val, test, not 'dev'"),
        (HEADER, lambda row: [*row[:2], "train", *row[3:]], "has no comments of the split 'val' that can be used"),
        (
            HEADER,
            lambda row: [*row[:4], "toxic", *row[5:]],
            "The column toxicity of .* holds something else than shares",
        ),
        (HEADER, lambda row: row[:-1], "fields, but the header names"),
    ],
)
def test_damaged_files_are_refused_with_one_sentence(tmp_path, header, change, sentence):
    write_file(tmp_path, [change(row) for row in made_rows(60)], header)
    if sentence is None:
        build(tmp_path, tmp_path / "cache")
        return
    with pytest.raises(ValueError, match=sentence):
        build(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    ("unseen", "sentence"),
    [
        ("black", r'must be a sequence of names, such as \("black",\)'),
        (("asian",), "there is no 'asian'; choose from male, female"),
        ((*IDENTITIES, "several"), "leaves fewer than two environments"),
    ],
)
def test_wrong_fields_are_refused(unseen, sentence):
    with pytest.raises(ValueError, match=sentence):
        CivilComments(unseen_environments=unseen)


def test_the_copy_on_the_hub_is_the_same_file(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "try_to_load_from_cache", lambda repo, name, repo_type: str(folder / name))
    builder = build("hub", tmp_path)
    assert builder.data_source.kind == "hub"
    assert builder.as_dataset("test").num_rows == build(folder, tmp_path).as_dataset("test").num_rows


def test_whoever_has_no_file_is_told_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sources, "try_to_load_from_cache", lambda *args, **kwargs: None)
    sentence = (
        "shlomihod/civil-comments-wilds cannot be fetched .*; connect to it, or get its files from https://wilds"
    )
    with pytest.raises(ConnectionError, match=sentence):
        CivilComments(cache_dir=tmp_path).download_and_prepare()
    with pytest.raises(FileNotFoundError, match=r"it should hold all_data_with_identities\.csv"):
        CivilComments(source=tmp_path, cache_dir=tmp_path).download_and_prepare()


def test_the_card_and_the_commands(folder, tmp_path):
    from hf_metairm.cli import app

    builder = build(folder, tmp_path)
    card = dataset_card([builder], "user/civil")
    assert card.data.license == "cc0-1.0"
    assert 'name == "black"' in card.text
    assert "$" not in card.text
    assert "| test | black | " in card.text
    assert "| train | black | " not in card.text
    arguments = ["build-dataset", "civil_comments", "--source", str(folder), "--cache_dir", str(tmp_path / "cache")]
    arguments += ["--output", str(tmp_path / "out"), "--set", 'unseen_environments="muslim","white"']
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "P(toxic) 0." in result.output
    shutil.rmtree(tmp_path / "out")
    result = CliRunner().invoke(app, ["inspect", "civil_comments", "--source", str(folder)])
    assert result.exit_code == 0, result.output
