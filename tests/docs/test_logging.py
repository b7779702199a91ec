"""The page on what is logged lists what is logged, by every algorithm; and it arrives where it is sent."""

from __future__ import annotations

import json
import re
import sqlite3

import pytest
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from hf_metairm.trainer import ALGORITHMS

from ..trainer.toys import arguments, model_and_data
from .pages import ROOT, commands


PAGE = ROOT / "docs" / "logging.md"
IN_TRAINING, IN_AN_EVALUATION, WHERE = re.split("^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
GENERAL, OF_ALGORITHMS = IN_TRAINING.split("An algorithm adds its own")
ENVIRONMENTS = ("a", "b")


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def rows(text: str) -> list[list[str]]:
    """The cells of the tables' rows, heads left out."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def filled(names: list[str], **places: tuple[str, ...]) -> set[str]:
    """Names with every value in the place of `<environment>` and `<metric>`."""
    found = set(names)
    for place, values in places.items():
        found = {name.replace(f"<{place}>", value) for name in found for value in values}
    return found


def trained(name, folder, **options):
    """Two steps of an algorithm, and an evaluation."""
    trainer_class, config_class = ALGORITHMS[name]
    model, data = model_and_data("bert")
    options = {"max_steps": 2, "logging_strategy": "steps", "logging_steps": 1, **options}
    trainer = trainer_class(model, arguments(folder, config_class, **options), train_dataset=data, eval_dataset=data)
    trainer.train()
    trainer.evaluate()
    return trainer


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_names_are_those_of_the_page(name, tmp_path):
    *steps, end, evaluation = trained(name, tmp_path).state.log_history
    general = [name for cell, _ in rows(GENERAL) for name in names(cell)]
    own = [n for cell, algorithms, _ in rows(OF_ALGORITHMS) if name in names(algorithms) for n in names(cell)]
    for logged in steps:
        assert logged.keys() - {"step"} == filled(general + own, environment=ENVIRONMENTS)
    assert (not own) == (f"`{name}`" in re.search("(.*) add none", OF_ALGORITHMS)[1])
    at_the_end = names(OF_ALGORITHMS.partition("When training ends")[2])
    assert end.keys() - {"step", "epoch"} == set(at_the_end)
    of_evaluation = [n for cell, _ in rows(IN_AN_EVALUATION) for n in names(cell)]
    places = {"environment": ENVIRONMENTS, "metric": ("loss", "accuracy")}
    assert evaluation.keys() - {"step", "epoch"} == filled(of_evaluation, **places)


def test_every_algorithm_of_the_page_is_one():
    assert {name for _, algorithms, _ in rows(OF_ALGORITHMS) for name in names(algorithms)} <= ALGORITHMS.keys()


def test_transformers_reports_to_what_the_page_names():
    asked = {words[words.index("--report_to") + 1] for words in commands(PAGE) if "--report_to" in words}
    assert asked == {names(cell)[0] for cell, *_ in rows(WHERE)} <= INTEGRATION_TO_CALLBACK.keys()


def sent(trainer) -> set[str]:
    """The names under which a tracker is sent what a Trainer logged, but for the lines at the end of training."""
    *steps, _, evaluation = trainer.state.log_history
    in_training = {f"train/{name}" for name in set().union(*steps, {"epoch"}) - {"step"}}
    return in_training | {f"eval/{name.removeprefix('eval_')}" for name in evaluation.keys() - {"step", "epoch"}}


def test_it_arrives_in_tensorboard(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer = trained("meta-irm", tmp_path, report_to="tensorboard")
    arrived: set[str] = set()
    for file in (tmp_path / "runs").rglob("events*"):
        arrived |= set(events.EventAccumulator(str(file)).Reload().Tags()["scalars"])
    assert {"train/meta_loss_std", "train/risk_a", "eval/worst_environment_accuracy"} <= sent(trainer) <= arrived


def test_it_arrives_in_trackio_as_one_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio")
    trainer = trained("meta-irm", tmp_path / "out", report_to="trackio", run_name="one")
    trackio.finish()
    (file,) = (tmp_path / "trackio").glob("*.db")
    lines = sqlite3.connect(file).execute("SELECT run_name, metrics FROM metrics").fetchall()
    assert {name for name, _ in lines} == {"one"}
    assert sent(trainer) <= set().union(*(json.loads(metrics) for _, metrics in lines))
