"""Killed at every write, or out of room there, and started again: the same end, nothing lost, no start refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from matplotlib import pyplot  # noqa: F401  Once here, and not in every process that is killed.
from safetensors.torch import load_file
from transformers.trainer_utils import get_last_checkpoint

from hf_metairm import MetaIRMConfig, MetaIRMTrainer
from hf_metairm.experiments.command import run_command
from hf_metairm.experiments.comparison import Comparison, ComparisonArguments
from hf_metairm.experiments.engine import carry_out
from hf_metairm.experiments.measure import evaluated
from hf_metairm.experiments.run import Run
from hf_metairm.experiments.settings import Settings
from hf_metairm.experiments.store import Store
from hf_metairm.experiments.training import train_run
from hf_metairm.trainer.model_card import CardDetails

from ..faults import BEGIN, HALF, Writes, in_a_fork, quick_forks
from ..trainer import toys


STEPS = 2


def trainer(folder, **options):
    torch.manual_seed(1)
    data, more = toys.numbers(), {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 2, **options}
    # The running means of the meta-losses are a state of the algorithm's own, which every checkpoint holds.
    args = toys.arguments(folder, MetaIRMConfig, max_steps=STEPS, std_loss_momentum=0.9, **more)
    return MetaIRMTrainer(toys.Classifier(tied=False), args, train_dataset=data, eval_dataset=data)


class Toys(Comparison):
    """A recipe as the others are, with a model that trains in a moment."""

    def title(self):
        return "toys"

    def card_details(self, dataset_config, seed):
        return CardDetails()

    def make_trainer(self, algorithm, dataset_config, seed, folder, stack):
        return trainer(folder, seed=seed)


def train(folder):
    """`hf-metairm train`: models, cards, table and picture stay."""
    settings = Settings(ComparisonArguments(output_dir=str(folder)), ["meta-irm"], {"meta-irm": {}})
    run_command(lambda: Toys(settings).carry_out())


def reproduce(folder):
    """`hf-metairm reproduce`: results stay."""

    def work(run, place, tell):
        return train_run(run, place, lambda there, stack: trainer(there), evaluated)

    run_command(lambda: carry_out([Run("meta-irm", {"seed": 0}, "table")], Store(folder), work).check())


def plain(folder):
    """A user's script, as Hugging Face's examples are written."""
    found = trainer(folder, load_best_model_at_end=True, eval_strategy="steps", eval_steps=1)
    found.train(resume_from_checkpoint=get_last_checkpoint(folder) if folder.is_dir() else None)
    found.save_model()
    found.save_state()


def ends_as(folder: Path) -> dict:
    """What a start that came to its end has left: parameters bit for bit, and results without the times."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.suffix == ".safetensors":
            found[name] = {key: value.numpy().tobytes() for key, value in load_file(file).items()}
        elif file.name in ("runs.jsonl", "table.jsonl"):
            (result,) = map(json.loads, file.read_text().splitlines())
            found[name] = [result[key] for key in ("test", "steps", "settings")]
        elif file.is_file() and not file.name.startswith((".", "rng_state")):
            found[name] = None
    return found


WORKS = (train, reproduce, plain)


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory):
    """By work, how a run ends that nothing happens to, its writes, and its folder with what kills would leave."""
    found = {}
    with quick_forks():
        for work in WORKS:
            folder = tmp_path_factory.mktemp(work.__name__)

            def count(work=work, folder=folder):
                writes = Writes(folder / "run", left=folder / "killed")
                writes.begin()
                work(folder / "run")
                (folder / "writes").write_text(json.dumps(writes.seen))

            assert in_a_fork(count, folder / "log") == 0, (folder / "log").read_text()
            found[work] = ends_as(folder / "run"), json.loads((folder / "writes").read_text()), folder
        yield found


@pytest.mark.parametrize("work", WORKS)
def test_killed_at_every_write(work, left_alone, tmp_path):
    whole, writes, place = left_alone[work]
    kills = sorted((place / "killed").iterdir())
    moments = [kill.name.partition(" ")[2] for kill in kills]
    assert moments.count(BEGIN) == len(writes)
    assert moments.count(HALF) > 10
    for kill in kills:
        shutil.rmtree(place / "run")
        kill.rename(place / "run")
        where, log = (writes[int(kill.name[:3])], kill.name), tmp_path / "log"
        assert in_a_fork(lambda: work(place / "run"), log) == 0, (where, log.read_text())
        assert ends_as(place / "run") == whole, where


@pytest.mark.parametrize("work", WORKS)
def test_the_disk_is_full_at_every_write(work, left_alone, tmp_path):
    (whole, writes, _), folder, log = left_alone[work], tmp_path / "run", tmp_path / "log"
    for number in range(len(writes)):
        shutil.rmtree(folder, ignore_errors=True)

        def start(number=number):
            Writes(folder, full_from=number).begin()
            work(folder)

        assert in_a_fork(start, log) == 1, (writes[number], log.read_text())
        if work is not plain:  # A script of one's own shows its traceback.
            errors = [line for line in log.read_text().splitlines() if line.startswith("Error: ")]
            assert len(errors) == 1, (writes[number], log.read_text())
            assert "The disk is full: " in errors[0]
            assert "make room and give the same command again" in errors[0]
            assert "Traceback" not in log.read_text()
        assert list(folder.rglob(".new*")) == [], writes[number]
        assert in_a_fork(lambda: work(folder), log) == 0, (writes[number], log.read_text())
        assert ends_as(folder) == whole, writes[number]
