"""The example scripts, as short as they should be, from the command line to the card."""

from __future__ import annotations

import json
import runpy
import sys

import pytest
from huggingface_hub import ModelCard

from ..docs.pages import ROOT
from ..models.tiny import save_tiny_encoder


EXAMPLES = sorted((ROOT / "trainer_examples").glob("*.py"))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.name)
def test_an_example_is_short_and_hides_no_recipe(script):
    source = script.read_text(encoding="utf-8")
    assert len(source.partition("\n# ///\n")[2].splitlines()) < 100
    assert "hf_metairm.experiments" not in source


@pytest.mark.parametrize("algorithm", ["erm", "meta-irm"])
@pytest.mark.parametrize("name", ["finetune_text", "train_colored_mnist"])
def test_an_example_from_its_options_to_the_card(name, algorithm, tmp_path, monkeypatch):
    words = ["--algorithm", algorithm, "--max_steps", "2", "--output_dir", str(tmp_path / "out"), "--use_cpu"]
    words += ["--per_device_train_batch_size", "8", "--disable_tqdm", "true", "--logging_steps", "1"]
    if name == "finetune_text":
        words += ["--model_name_or_path", str(save_tiny_encoder(tmp_path / "tiny")), "--freeze_encoder"]
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(ROOT / "trainer_examples" / f"{name}.py"), run_name="__main__")
    metrics = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert {"eval_p=0.1_accuracy", "eval_p=0.9_accuracy", "eval_worst_environment_accuracy"} <= metrics.keys()
    results = {
        result.dataset_split: result for result in ModelCard.load(tmp_path / "out" / "README.md").data.eval_results
    }
    assert results["p=0.9"].dataset_args["unseen_in_training"]
