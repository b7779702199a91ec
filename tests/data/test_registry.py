"""One list of datasets: what is added to it is found by the commands, the messages and the cards."""

import importlib
import sys

import datasets
import numpy as np
import pytest
from typer.testing import CliRunner

from hf_metairm.cards.dataset_card import dataset_card
from hf_metairm.cli import app
from hf_metairm.data import DATASETS
from hf_metairm.data.registry import DatasetRegistry


@pytest.fixture
def toy(monkeypatch):
    """A dataset in one file: under the decorator, and nothing else said anywhere."""
    monkeypatch.setattr(DATASETS, "_classes", dict(DATASETS._classes))
    monkeypatch.delitem(sys.modules, "tests.data.toy_dataset", raising=False)
    importlib.import_module("tests.data.toy_dataset")


def test_every_file_holds_the_dataset_of_its_name():
    assert {"cad_imdb", "civil_comments", "colored_mnist", "punctuated_sst2"} <= set(DATASETS)
    assert len(DATASETS) == len(list(DATASETS))
    for name, cls in DATASETS.items():
        assert name == cls.TITLE
        about = cls(source="bundled").describe()
        assert about.title
        assert set(cls.CUES) <= set(about.columns)


def test_names_cost_no_import():
    registry = DatasetRegistry("hf_metairm.data.builders")
    assert list(registry) == [name for name in DATASETS if name in registry]
    assert registry._classes == {}
    assert registry.listed() == "cad_imdb, civil_comments, colored_mnist or punctuated_sst2"


def test_a_toy_is_found_everywhere(toy, tmp_path):
    assert list(DATASETS) == ["cad_imdb", "civil_comments", "colored_mnist", "punctuated_sst2", "toy"]
    assert DATASETS.listed() == "cad_imdb, civil_comments, colored_mnist, punctuated_sst2 or toy"
    with pytest.raises(ValueError, match="no dataset 'mnist'; choose cad_imdb, civil_comments, colored_mnist, punct"):
        DATASETS.choose("mnist")
    cache = str(tmp_path / "cache")
    arguments = ["build-dataset", "toy", "--source", "bundled", "--cache_dir", cache, "--output", str(tmp_path / "o")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "P(word = label)" in result.output
    loaded = datasets.load_dataset(str(tmp_path / "o"), "plain", cache_dir=cache)
    assert loaded["train"].num_rows == 400
    assert loaded["test"].num_rows == 450
    result = CliRunner().invoke(app, ["inspect", "toy", "--source", "bundled"])
    assert result.exit_code == 0, result.output
    assert "'even'" in result.output
    builder = DATASETS["toy"](source="bundled", cache_dir=cache)
    builder.download_and_prepare()
    card = dataset_card([builder], "user/toy")
    assert card.data.pretty_name == "Toy"
    assert "| `word` | what the number is called |" in card.text
    train = builder.as_dataset("train").to_pandas()
    agreement = (np.array(["odd", "even"])[train.label] == train.word)[train.environment == "p=0.2"].mean()
    assert f"{agreement:.4f} ± " in card.text


def test_a_name_is_taken_once(toy):
    class Other:
        TITLE = "toy"

    with pytest.raises(ValueError, match="There is a dataset 'toy' already"):
        DATASETS.register(Other)
