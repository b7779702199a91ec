"""Every kind of file that "Your own data" names gives the same rows to train and to test on."""

from __future__ import annotations

import json
import re

import datasets
import pytest

from hf_metairm.data import load_own

from .pages import ROOT


@pytest.fixture(scope="module")
def rows(folder_with_reviews):
    return datasets.load_dataset("csv", data_files=str(folder_with_reviews / "reviews.csv"))["train"]


def load(name):
    options = {"text_column": "text", "label_column": "label", "environment_column": "site", "test_split": "test"}
    return load_own(str(name), None, **options, unseen_environments=["berlin"], test_share=0.2, seed=0)


def test_every_format(rows, folder_with_reviews, tmp_path):
    named = re.findall(r"`(?:reviews)?(\.\w+)`", (ROOT / "docs" / "own_data.md").read_text(encoding="utf-8"))
    write = {
        ".csv": rows.to_csv,
        ".tsv": lambda file: rows.to_csv(file, sep="\t"),
        ".json": lambda file: file.write_text(json.dumps(rows.to_list())),
        ".jsonl": rows.to_json,
        ".parquet": rows.to_parquet,
    }
    assert set(named) == set(write)
    expected = load(folder_with_reviews / "reviews.csv")
    assert set(expected.train["environment"]) == {"paris", "london", "rome"}
    assert expected.test["environment"].count("berlin") == 100
    assert expected.train.features["label"].names == ["0", "1"]
    for suffix, to in write.items():
        to(tmp_path / f"reviews{suffix}")
        found = load(tmp_path / f"reviews{suffix}")
        assert found.train.to_list() == expected.train.to_list(), suffix
        assert found.test.to_list() == expected.test.to_list(), suffix


def test_a_folder_and_a_dataset_on_the_hub(rows, folder_with_reviews, local_hub, tmp_path):
    parts = rows.train_test_split(0.25, seed=1)
    for split in ("train", "test"):
        parts[split].to_csv(tmp_path / f"{split}.csv")
    parts.push_to_hub(f"{local_hub.user}/reviews")
    here, there = load(tmp_path), load(f"{local_hub.user}/reviews")
    assert here.train.to_list() == there.train.to_list()
    tested = [row["sentence"] for row in here.test if row["environment"] != "berlin"]
    assert sorted([*here.train["sentence"], *tested]) == sorted(
        rows.filter(lambda row: row["site"] != "berlin")["text"]
    )
