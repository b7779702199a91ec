"""Revised reviews, from small files in the form of the authors' own."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hf_metairm.cards.dataset_card import dataset_card
from hf_metairm.cards.publish_dataset import write_parquet
from hf_metairm.data import CADIMDb
from hf_metairm.data.revisions import find_pairs, read_pairs
from hf_metairm.experiments.finetune_text import main

from ..models.tiny import save_tiny_encoder
from .checks import columns, within_four_errors


SIZES = {"train": 200, "dev": 40, "test": 100}
TWINS = {0: ("Negative", "bad"), 1: ("Positive", "fine")}


def review(split, number, label):
    """With a quotation mark and breaks, as in the originals; what was left in the revision speaks for the original."""
    topic = "horror" if number % 2 == 0 else "family"
    return f'{split} {number} is a ""{topic}"" film.<br /><br />It is {TWINS[label][1]}.'.replace('""', '"')


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerows([header, *rows])


def write_files(folder, as_repository=False):
    """Pairs in which either twin may come first."""
    for split, size in SIZES.items():
        pairs, originals = [], []
        for number in range(size):
            label = number % 2
            twins = [(TWINS[y][0], review(split, number, y), str(10 * number)) for y in (label, 1 - label)]
            originals.append(twins[0][:2])
            pairs += twins if number % 3 else twins[::-1]
        paired, original = f"{split}_paired.tsv", f"original-{split}.tsv"
        if as_repository:
            paired, original = f"combined/paired/{paired}", f"orig/{split}.tsv"
            write(folder / f"new/{split}.tsv", ["Sentiment", "Text"], [])
        write(folder / paired, ["Sentiment", "Text", "batch_id"], pairs)
        write(folder / original, ["Sentiment", "Text"], originals)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("cad"))


def build(folder, cache, config=None, **fields):
    builder = CADIMDb(config, source=folder, cache_dir=cache, **fields)
    builder.download_and_prepare()
    return builder


@pytest.mark.parametrize("config", [config.name for config in CADIMDb.BUILDER_CONFIGS])
def test_every_config_is_what_it_says(folder, tmp_path, config):
    builder = build(folder, tmp_path, config)
    numbers = {}
    for split, dataset in builder.as_dataset().items():
        values = columns(dataset)
        shares = builder.config.test_environments if split == "test" else builder.config.environments
        assert set(values["environment"]) == {f"revised={share:g}" for share in shares}
        assert (values["label"] == values["original_label"] ^ values["revised"]).all()
        for sentence, label, pair in zip(values["sentence"], values["label"], values["pair"]):
            number = pair // 10
            assert sentence == review({"validation": "dev"}.get(split, split), number, label).replace(
                "<br /><br />", " "
            )
        for share in shares:
            revised = values["revised"][values["environment"] == f"revised={share:g}"]
            assert within_four_errors(revised.mean(), share, len(revised))
        numbers[split] = values["pair"].tolist()
    assert len(numbers["train"]) == len(set(numbers["train"])) == SIZES["train"]  # each pair stands once
    assert len(numbers["validation"]) == len(set(numbers["validation"])) == SIZES["dev"]
    assert numbers["test"] == [10 * number for number in range(SIZES["test"])] * len(builder.config.test_environments)


def test_a_copy_of_the_repository_gives_the_same_rows(folder, tmp_path):
    other = build(write_files(tmp_path / "sentiment", as_repository=True), tmp_path / "cache")
    for split, dataset in build(folder, tmp_path / "cache").as_dataset().items():
        assert dataset.with_format("arrow")[:] == other.as_dataset(split).with_format("arrow")[:]


def test_the_seed_draws_the_twins_and_not_the_splits(folder, tmp_path):
    first, second = (build(folder, tmp_path, seed=seed) for seed in (0, 1))
    for split in ("train", "test"):
        left, right = (columns(builder.as_dataset(split)) for builder in (first, second))
        assert sorted(left["pair"]) == sorted(right["pair"])
        assert left["sentence"].tolist() != right["sentence"].tolist()


def test_pairs_without_a_plain_original_are_left_out(tmp_path, caplog):
    write_files(tmp_path)
    more = [
        ("Negative", "An unknown bad film.", "7"),  # neither is among the originals
        ("Positive", "An unknown fine film.", "7"),
        ("Negative", "The same film.", "8"),  # both say the same
        ("Positive", 'The same "film."', "8"),
        ("Negative", "A dull thing.", "9"),  # both are among the originals
        ("Positive", "A good thing.", "9"),
        ("Negative", 'It "hurts"', "11"),  # the originals' file has other quotation marks and spaces
        ("Positive", 'It "sings"', "11"),
        ("Negative", review("dev", 0, 0), "12"),  # a review that is validated on
        ("Positive", review("dev", 0, 1), "12"),
    ]
    originals = [more[2], more[4], more[5], ("Negative", 'It  ""hurts""'), more[8]]
    for name, rows in (("train_paired.tsv", more), ("original-train.tsv", [row[:2] for row in originals])):
        with (tmp_path / name).open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)
    with caplog.at_level("INFO", logger="hf_metairm"):
        pairs = read_pairs(find_pairs(tmp_path)[0])["train"]
    assert sorted(set(pairs.numbers.tolist()) - {10 * number for number in range(200)}) == [11]
    assert "train_paired.tsv: 3 of 205 pairs are left out" in caplog.text
    assert pairs.revisions[pairs.numbers.tolist().index(11)] == 'It "sings"'


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("train_paired.tsv", lambda text: text.replace("batch_id", "id"), "but batch_id is needed"),
        ("train_paired.tsv", lambda text: text.replace("Negative", "Neutral", 1), "not 'Neutral'"),
        (
            "dev_paired.tsv",
            lambda text: text.replace("Negative", "Positive", 1),
            "is not one negative and one positive",
        ),
        ("dev_paired.tsv", lambda text: text.replace("\t10\n", "\tten\n"), "batch_id is a number, not 'ten'"),
        ("test_paired.tsv", lambda text: text[: len(text) // 2].rstrip('"'), "line"),
        ("original-test.tsv", lambda text: text.split("\n")[0] + "\n", "has no pair of which one review stands in"),
        ("original-test.tsv", lambda text: "", "is empty"),
    ],
)
def test_damaged_files_are_refused_with_one_sentence(tmp_path, name, change, sentence):
    path = write_files(tmp_path) / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=sentence) as error:
        build(tmp_path, tmp_path / "cache")
    assert name in str(error.value)


def test_whoever_has_no_files_is_told_where_they_are(tmp_path):
    for source, sentence in (
        (
            "auto",
            "CAD-IMDb is not fetched from the Hub: get its files from .*acmi-lab/counterfactually-augmented-data",
        ),
        ("hub", "CAD-IMDb is not fetched from the Hub: get its files from"),
        ("bundled", "The package carries no copy of CAD-IMDb: get its files from"),
        (tmp_path, r"has no CAD-IMDb data; it should hold train_paired\.tsv and orig/train\.tsv"),
    ):
        with pytest.raises(FileNotFoundError, match=sentence):
            CADIMDb(source=source, cache_dir=tmp_path / "cache").download_and_prepare()


def test_labels_stay_as_their_writers_gave_them():
    with pytest.raises(ValueError, match="label_noise must be 0: a review has the sentiment"):
        CADIMDb(label_noise=0.25)


def test_the_card_promises_no_probabilities(folder, tmp_path):
    builders = [build(folder, tmp_path / "cache", config.name) for config in CADIMDb.BUILDER_CONFIGS]
    card = dataset_card(builders, "user/cad")
    assert card.data.license == "apache-2.0"
    assert 'name == "revised=1"' in card.text
    assert "η" not in card.text
    assert "clean" not in card.text
    assert "$" not in card.text
    share = np.mean(builders[0].as_dataset("train").filter(lambda row: row["environment"] != "revised=0")["revised"])
    assert f"| {1 - share:.4f} ± " in card.text
    write_parquet(builders, tmp_path / "out")
    assert (tmp_path / "out" / "samples.png").is_file()


def test_the_commands_take_it(folder, tmp_path, monkeypatch):
    from hf_metairm.cli import app

    monkeypatch.setenv("COLUMNS", "160")
    arguments = ["build-dataset", "cad_imdb", "--source", str(folder), "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--set", "environments=0.0,0.1", "--cache_dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "revised=0.1    100 rows  P(negative) 0." in result.output
    result = CliRunner().invoke(app, ["inspect", "cad_imdb", "--source", str(folder), "--split", "test"])
    assert result.exit_code == 0, result.output
    assert "'horror'" in result.output


def test_a_model_is_trained_on_it(folder, tmp_path):
    main([
        "--dataset", "cad_imdb", "--source", str(folder), "--model_name_or_path",
        str(save_tiny_encoder(tmp_path / "encoder")), "--trainable", "head", "--max_steps", "2",
        "--output_dir", str(tmp_path / "out"), "--report_to", "none", "--use_cpu", "true", "--disable_tqdm", "true",
    ])  # fmt: skip
    erm, meta_irm = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(erm["test"]) == list(meta_irm["test"]) == [f"revised={share:g}" for share in (0, 0.2, 0.5, 0.8, 1)]
    cards = [path.read_text(encoding="utf-8") for path in (tmp_path / "out").rglob("README.md")]
    assert cards
    assert all("The data were made from counterfactually revised IMDb reviews" in card for card in cards)


DATA = Path(os.environ.get("HF_METAIRM_DATA", "/nonexistent"))


@pytest.mark.skipif(not DATA.is_dir() or find_pairs(DATA) is None, reason="HF_METAIRM_DATA names no folder with them")
def test_the_authors_files(tmp_path):
    builder = build(DATA, tmp_path)
    assert {name: rows.num_rows for name, rows in builder.as_dataset().items()} == {
        "train": 1700,
        "validation": 244,
        "test": 5 * 487,
    }
    for dataset in builder.as_dataset().values():
        values = columns(dataset)
        assert not any("<br" in sentence for sentence in values["sentence"])
        for name in set(values["environment"]):
            positive = values["label"][values["environment"] == name].mean()
            assert within_four_errors(positive, 0.5, (values["environment"] == name).sum())
