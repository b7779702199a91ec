"""Checkpoints that are pushed while training goes on: whole ones, under their own names, without the token."""

from __future__ import annotations

import pytest
import torch
from huggingface_hub import HfApi, snapshot_download

from hf_metairm import EnvironmentConfig, EnvironmentTrainer
from hf_metairm.trainer.whole import flaw_of

from ..trainer import toys


@pytest.mark.parametrize(
    ("strategy", "name"), [("checkpoint", "last-checkpoint"), ("all_checkpoints", "checkpoint-2")]
)
def test_a_pushed_checkpoint_is_whole(strategy, name, local_hub, tmp_path):
    args = toys.arguments(
        tmp_path / "run", EnvironmentConfig, max_steps=2, save_strategy="steps", save_steps=1, push_to_hub=True,
        hub_model_id=f"{local_hub.user}/toys", hub_strategy=strategy, hub_token=local_hub.token, hub_always_push=True,
    )  # fmt: skip
    data = toys.numbers()
    trainer = EnvironmentTrainer(toys.Classifier(tied=False), args, train_dataset=data, eval_dataset=data)
    trainer.train()
    trainer.push_to_hub()
    files = HfApi().list_repo_files(f"{local_hub.user}/toys")
    assert not [file for file in files if "_incomplete" in file]
    there = snapshot_download(f"{local_hub.user}/toys", local_dir=tmp_path / "there")
    assert flaw_of(tmp_path / "there" / name) is None
    pushed = [file for file in (tmp_path / "there").rglob("*") if file.is_file()]
    assert [file for file in pushed if local_hub.token.encode() in file.read_bytes()] == []
    assert torch.load(f"{there}/{name}/optimizer.pt", weights_only=True)["state"]
