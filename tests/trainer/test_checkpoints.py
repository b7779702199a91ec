"""A checkpoint is whole or not there; what an earlier version or a copy left cut off is named and not used."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import warnings

import pytest
import torch
from transformers.trainer_utils import get_last_checkpoint

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMConfig, MetaIRMTrainer
from hf_metairm.files import DiskFullError
from hf_metairm.trainer.whole import flaw_of, newest_whole

from . import toys


TOKEN = "hf_" + "aB3" * 12


def trainer(folder, steps=3, **options):
    torch.manual_seed(1)
    more = {"save_strategy": "steps", "save_steps": 1, "std_loss_momentum": 0.9, **options}
    args = toys.arguments(folder, MetaIRMConfig, max_steps=steps, **more)
    data = toys.numbers()
    return MetaIRMTrainer(toys.Classifier(tied=False), args, train_dataset=data, eval_dataset=data)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    trainer(folder).train()
    return folder


def parameters(of):
    return torch.cat([p.detach().flatten() for p in of.model.parameters()])


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


FILES = ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]
FILES += ["training_args.bin", "algorithm_state.safetensors"]


def test_all_files_of_a_checkpoint_are_known(trained):
    assert sorted(os.listdir(trained / "checkpoint-3")) == sorted(FILES)
    assert [flaw_of(trained / f"checkpoint-{k}") for k in (1, 2, 3)] == [None] * 3
    assert sorted(os.listdir(trained)) == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_cut_off_is_named_and_the_checkpoint_before_is_used(file, trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    cut(folder / "checkpoint-3" / file)
    assert file in flaw_of(folder / "checkpoint-3")
    resumed = trainer(folder)
    with pytest.warns(
        UserWarning, match=rf"checkpoint-3 is no whole checkpoint: {file} .*; going on from checkpoint-2\."
    ):
        resumed.train(resume_from_checkpoint=True)
    left_alone = trainer(tmp_path / "whole")
    left_alone.train()
    assert torch.equal(parameters(resumed), parameters(left_alone))
    assert flaw_of(folder / "checkpoint-3") is None, "it was written anew"
    (folder / "checkpoint-2" / "trainer_state.json").unlink()
    with pytest.raises(ValueError, match=r"checkpoint-2 is no whole checkpoint: it has no trainer_state\.json\. "):
        trainer(folder).train(resume_from_checkpoint=str(folder / "checkpoint-2"))


def test_where_none_is_whole_training_begins_anew(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    for place in folder.iterdir():
        cut(place / "model.safetensors")
    again = trainer(folder)
    with pytest.warns(UserWarning, match=r"model.safetensors cannot be read: .*; training begins anew\.$"):
        again.train(resume_from_checkpoint=True)
    whole = trainer(tmp_path / "whole")
    whole.train()
    assert torch.equal(parameters(again), parameters(whole))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="No valid checkpoint"):
        trainer(tmp_path / "empty").train(resume_from_checkpoint=True)


def test_shards_that_are_missing_are_noticed(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    index = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
    (folder / "checkpoint-3" / "model.safetensors.index.json").write_text(json.dumps(index))
    whole, broken = newest_whole(folder)
    assert whole == folder / "checkpoint-2"
    assert list(broken) == [folder / "checkpoint-3"]
    assert "names model-00001-of-00001.safetensors, which is not there" in broken[folder / "checkpoint-3"]


def test_a_full_disk_keeps_the_checkpoints_before_and_leaves_no_half_one(tmp_path, monkeypatch):
    save, full = torch.save, [True]

    def no_room(value, file, *args, **kwargs):
        if full[0] and "checkpoint-2" in str(file) and "optimizer" in str(file):
            raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
        return save(value, file, *args, **kwargs)

    monkeypatch.setattr(torch, "save", no_room)
    with pytest.raises(DiskFullError, match=r"^The disk is full: .*checkpoint-2 could not be written\. "):
        trainer(tmp_path).train()
    assert get_last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-1")
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "checkpoint-1"] == []
    full[0] = False
    resumed = trainer(tmp_path)
    with pytest.warns(UserWarning, match=r"checkpoint-2 is no whole checkpoint: it was not written to its end"):
        resumed.train(resume_from_checkpoint=True)
    monkeypatch.undo()
    whole = trainer(tmp_path / "whole")
    whole.train()
    assert torch.equal(parameters(resumed), parameters(whole))


def test_the_best_checkpoint_has_its_own_name_and_the_limit_holds(tmp_path):
    best = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1}
    found = trainer(tmp_path, 4, save_total_limit=2, metric_for_best_model="loss", learning_rate=0.3, **best)
    found.train()
    name = f"checkpoint-{found.state.best_global_step}"
    assert found.state.best_model_checkpoint == str(tmp_path / name)
    assert {name, "checkpoint-4"} <= set(os.listdir(tmp_path))
    assert len(os.listdir(tmp_path)) == 2
    state = json.loads((tmp_path / "checkpoint-4" / "trainer_state.json").read_text())
    assert state["best_model_checkpoint"] == str(tmp_path / name)


def test_a_token_is_in_no_file_and_stays_where_it_was(tmp_path):
    args = toys.arguments(tmp_path, EnvironmentConfig, save_strategy="steps", save_steps=1, hub_token=TOKEN)
    data = toys.numbers()
    found = EnvironmentTrainer(toys.Classifier(tied=False), args, train_dataset=data, eval_dataset=data)
    found.train()
    found.save_model()
    found.create_model_card()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"training_args.bin", "README.md", "trainer_state.json"} <= {file.name for file in files}
    assert [file for file in files if TOKEN.encode() in file.read_bytes()] == []
    assert found.args.hub_token == copy.copy(args).hub_token == copy.deepcopy(args).hub_token == TOKEN
    assert pickle.loads(pickle.dumps(args)).hub_token is None


def test_a_model_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    found = trainer(tmp_path, save_strategy="no")
    found.save_model()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    found.train()

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)  # The arguments come after the weights.
    with pytest.raises(KeyboardInterrupt):
        found.save_model()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.undo()
        found.save_model()
    assert (tmp_path / "model.safetensors").read_bytes() != before["model.safetensors"]
