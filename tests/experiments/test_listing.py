"""`--list-settings` shows what there is: every field, and the defaults that are really taken."""

from __future__ import annotations

import dataclasses

import pytest
from transformers import TrainingArguments
from typer.testing import CliRunner

from hf_metairm.cli import app
from hf_metairm.experiments import finetune_text, train_colored_mnist
from hf_metairm.experiments.finetune_text import TextArguments
from hf_metairm.experiments.train_colored_mnist import ColoredMNISTArguments
from hf_metairm.trainer import ALGORITHMS


def rows_of(recipe):
    return [row for rows in recipe.settings().values() for row in rows]


@pytest.mark.parametrize(
    ("recipe", "arguments"), [(finetune_text, TextArguments), (train_colored_mnist, ColoredMNISTArguments)]
)
def test_every_setting_of_recipe_and_algorithms_is_there_with_what_it_is(recipe, arguments):
    shown = {name: what for name, _, _, what in rows_of(recipe)}
    plain = {f.name for f in dataclasses.fields(TrainingArguments)}
    own = {f.name for _, config in ALGORITHMS.values() for f in dataclasses.fields(config)} - plain
    assert own | {f.name for f in dataclasses.fields(arguments)} <= shown.keys()
    assert {"learning_rate", "max_steps"} <= shown.keys()
    assert all(shown.values())


def test_defaults_and_where_a_setting_counts():
    found = {(name, default): counts for name, default, counts, _ in rows_of(finetune_text)}
    assert found["lora_rank", "8"] == "trainable lora"
    assert found["head_units", "64"] == "stages two"
    assert found["finite_difference_scheme", "forward"] == "meta-irm: meta_gradient finite_difference"
    assert found["penalty_weight", "1.0; 1000 with stages two"] == "fishr, irmv1, ib-irm, iga, irmv2, v-rex"
    assert found["penalty_weight", "1.0; 100 with stages two"] == "mm-rex"
    assert found["meta_loss_reduction", "mean"] == "meta-irm"
    assert ("meta_loss_reduction", "sum") in {row[:2] for row in rows_of(train_colored_mnist)}
    assert found["l2_regularization", "0.0"] == ""


@pytest.mark.parametrize("command", ["train", "tune"])
def test_on_the_command_line(command):
    done = CliRunner().invoke(app, [command, "--list-settings"])
    assert done.exit_code == 0, done.output
    assert "std_loss_weight" in done.output
    assert ("trials" in done.output) == (command == "tune")
