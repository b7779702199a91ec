"""The commands that are quick enough are really run, on a small file and a small model."""

from __future__ import annotations

import shlex
import shutil

import pytest
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from hf_metairm.cli import app
from hf_metairm.experiments.finetune_text import main

from .pages import README, ROOT, commands, snippets


OWN_DATA = ROOT / "docs" / "own_data.md"
SMALL_SEARCH = ["--algorithms", "erm", "meta-irm", "--trials", "2", "--seeds", "0"]
SMALL_HEAD = ["--head_units", "4", "--trainable", "head"]
FEW_STEPS = ["--max_steps", "2", "--report_to", "none", "--use_cpu", "true", "--disable_tqdm", "true"]


def invoke(words):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("drawn_pictures")
def test_from_a_csv_file_to_a_published_card_in_four_commands(encoder, folder_with_reviews, local_hub, monkeypatch):
    monkeypatch.chdir(folder_with_reviews)
    shutil.copy("reviews.csv", "new_reviews.csv")
    block = snippets(OWN_DATA, "bash")[0].text.replace("\\\n", " ").splitlines()
    inspect, tune, evaluate, push = [shlex.split(line)[1:] for line in block]
    assert [words[0] for words in (inspect, tune, evaluate, push)] == ["inspect", "tune", "evaluate", "push"]
    assert "paris" in invoke(inspect)
    invoke([*tune, "--model_name_or_path", str(encoder), *SMALL_SEARCH, *SMALL_HEAD, *FEW_STEPS])
    folder = folder_with_reviews / "outputs" / "reviews" / "models"
    assert {"table.md", "accuracy.png", "results.json"} <= {p.name for p in folder.iterdir()}
    for name in ("erm", "meta-irm"):
        card = ModelCard.load(folder / f"{name}-seed0" / "README.md")
        results = {result.dataset_split: result for result in card.data.eval_results}
        assert results.keys() == {"paris", "london", "rome", "berlin"}
        assert results["berlin"].dataset_args["unseen_in_training"]

    evaluations = [words for page in (README, OWN_DATA) for words in commands(page) if words[1:2] == ["evaluate"]]
    assert len(evaluations) == 2
    for words in evaluations:
        assert "berlin" in invoke(words[1:])
    beside = ["--with", str(folder / "erm-seed0")]
    assert "erm-seed0" in invoke(evaluate + beside)

    repository = f"{local_hub.user}/reviews-meta-irm"
    invoke([word.replace("you/", f"{local_hub.user}/") for word in push])
    assert "berlin" in ModelCard.load(repository).text
    AutoModelForSequenceClassification.from_pretrained(repository)


def test_the_command_with_settings_of_ones_own(encoder, folder_with_reviews, monkeypatch):
    monkeypatch.chdir(folder_with_reviews)
    (train,) = [words for words in commands(OWN_DATA) if words[1:2] == ["train"] and "--dataset" in words]
    main([str(encoder) if word == "distilbert-base-uncased" else word for word in train[2:]] + FEW_STEPS)
    folder = folder_with_reviews / "outputs" / "by_hand"
    assert {"table.md", "accuracy.png", "results.json", "erm-seed0"} <= {p.name for p in folder.iterdir()}


@pytest.mark.parametrize(("program", "said"), [("inspect", "'!'"), ("env", "transformers")])
def test_quick_commands(program, said, folder_with_reviews, monkeypatch):
    monkeypatch.chdir(folder_with_reviews)
    pages = [OWN_DATA, ROOT / "docs" / "troubleshooting.md"]
    found = [words for page in pages for words in commands(page) if words[:2] == ["hf-metairm", program]]
    assert found
    for words in found:
        if program == "env" or len(words) > 2:
            assert said in invoke(words[1:])
