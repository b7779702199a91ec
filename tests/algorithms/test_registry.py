"""One list of algorithms: what is added to it is found by the Trainers, settings, messages, results and cards."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from hf_metairm.algorithms import ALGORITHMS as CLASSES
from hf_metairm.algorithms.base import algorithm
from hf_metairm.experiments.settings import read_settings
from hf_metairm.experiments.train_colored_mnist import ColoredMNISTArguments
from hf_metairm.gradients import KINDS, FirstOrder
from hf_metairm.trainer import ALGORITHMS, MetaIRMConfig

from ..trainer.toys import arguments, model_and_data


@pytest.fixture
def toy(monkeypatch):
    """An algorithm in one file: a class under the decorator, and nothing else said anywhere."""
    monkeypatch.delitem(sys.modules, "tests.algorithms.tilted", raising=False)
    before = list(CLASSES)
    yield importlib.import_module("tests.algorithms.tilted")
    for name in set(CLASSES) - set(before):
        del CLASSES[name]


def train(folder, **options):
    model, data = model_and_data("bert", environments=3)
    trainer_class, config_class = ALGORITHMS["tilted-erm"]
    args = arguments(folder, config_class, save_strategy="steps", save_steps=2, **options)
    trainer = trainer_class(model, args, train_dataset=data, eval_dataset=data)
    trainer.train()
    return trainer


def test_every_algorithm_says_what_it_is():
    assert list(CLASSES) == list(ALGORITHMS)
    for name, cls in CLASSES.items():
        assert cls.name == name
        assert cls.title
        assert name == "erm" or (cls.paper.startswith("@") and cls.tags)
        description = cls(ALGORITHMS[name][1](output_dir="unused"), ["a", "b"]).describe()
        assert description.formula.startswith("J(θ) = ")


def test_a_toy_is_found_everywhere(toy, tmp_path):
    assert "tilted-erm" in ALGORITHMS
    settings = read_settings(ColoredMNISTArguments, ["--algorithms", "erm", "tilted-erm", "--tilt", "5"])
    assert settings.config("tilted-erm", output_dir="unused").tilt == 5
    with pytest.raises(ValueError, match=r"Unknown algorithm 'tilted': use one or more of erm, .*, tilted-erm\."):
        read_settings(ColoredMNISTArguments, ["--algorithms", "tilted"])
    with pytest.raises(ValueError, match=r"tilt=0\.0 is refused: use a finite positive number"):
        read_settings(ColoredMNISTArguments, ["--algorithms", "tilted-erm", "--tilt", "0"])
    trainer = train(tmp_path, tilt=2.0)
    assert type(trainer).__name__ == "TiltedERMTrainer"
    trainer.create_model_card()
    card = (tmp_path / "README.md").read_text()
    assert "tilted ERM" in card
    assert "t = 2" in card
    assert "| `tilt` | `2` | How much the worst environment counts (t). |" in card
    assert "@inproceedings{li2021tilted" in card
    assert "- tilted-erm\n" in card


def test_the_checkpoint_of_a_toy_is_whole_and_training_goes_on_from_it(toy, tmp_path):
    """Its Config was made on the fly, and is known by its name all the same."""
    whole = train(tmp_path, tilt=2.0)
    args = torch.load(tmp_path / "checkpoint-2" / "training_args.bin", weights_only=False)
    assert type(args) is ALGORITHMS["tilted-erm"][1]
    assert args.tilt == 2
    AutoModelForSequenceClassification.from_pretrained(tmp_path / "checkpoint-2")
    model, data = model_and_data("bert", environments=3)
    again = ALGORITHMS["tilted-erm"][0](model, args, train_dataset=data)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    for a, b in zip(whole.model.parameters(), again.model.parameters()):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_name_is_taken_once(toy):
    with pytest.raises(ValueError, match="The algorithm 'tilted-erm' is there already"):
        algorithm("tilted-erm")(toy.TiltedERM)


def test_a_toy_kind_of_meta_gradient_is_found_everywhere(tmp_path, monkeypatch):
    class Zero(FirstOrder):
        """As if the Hessian were zero."""

    monkeypatch.setitem(KINDS, "zero", Zero)
    settings = read_settings(ColoredMNISTArguments, ["--algorithms", "meta-irm", "--meta_gradient", "zero"])
    assert settings.config("meta-irm", output_dir="unused").meta_gradient == "zero"
    with pytest.raises(ValueError, match=r"meta_gradient='two' is refused: use one of .*, zero\."):
        MetaIRMConfig(str(tmp_path), meta_gradient="two")
    model, data = model_and_data("bert")
    args = arguments(tmp_path, meta_gradient="zero")
    trainer = ALGORITHMS["meta-irm"][0](model, args, train_dataset=data, eval_dataset=data)
    trainer.train()
    trainer.create_model_card()
    assert "meta-gradient: zero" in (tmp_path / "README.md").read_text()
