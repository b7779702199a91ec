"""What `hf-metairm explore` reads and computes, without its page."""

from __future__ import annotations

import json
import re
import socket
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner

from hf_metairm.cli import app
from hf_metairm.data import DATASETS
from hf_metairm.evaluation.checkpoint import kind_of
from hf_metairm.explore.accuracy import accuracy
from hf_metairm.explore.found import CARDS, SUMMARY, look_into
from hf_metairm.explore.html import table, words
from hf_metairm.explore.sentences import answer, compared
from hf_metairm.explore.trade_off import draw, points, trade_off, unseen_environments
from hf_metairm.models import ColoredMNISTClassifier, ColoredMNISTConfig

from .made import ACCURACIES, LABELS, result, write_folder, write_model, write_results


WARM = "A warm and moving film that I will watch again ."


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("runs"))


def cells(html: str) -> list[list[str]]:
    """The texts of a table, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_results_and_models_of_a_training(runs):
    found = look_into(runs)
    assert list(found.results) == ["runs", "search"]
    assert {(r["name"], r["seed"]) for r in found.results["runs"]} == set(ACCURACIES)
    assert [(model.name, model.kind) for model in found.models] == [("erm-seed0", "text"), ("meta-irm-seed0", "text")]
    assert {model.builder for model in found.models} == {DATASETS["punctuated_sst2"]}
    assert found.notes == []


def test_seeds_are_averaged_and_the_unseen_environment_is_marked(runs):
    _, shown = accuracy(look_into(runs).results["runs"])
    assert cells(shown)[0] == ["", "p=0.1", "p=0.2", "p=0.9 (unseen)", "worst"]
    assert cells(shown)[1] == ["erm", "89.0 ± 1.4", "81.0 ± 1.4", "12.0 ± 2.8", "12.0"]
    assert "over 2 seeds" in shown
    assert "no run was trained on p=0.9" in shown


def test_a_point_is_a_run_in_training_and_in_the_unseen_environment(runs):
    results = look_into(runs).results["runs"]
    assert unseen_environments(results) == ["p=0.9"]
    first = points(results, "p=0.9")[0]
    assert (first.name, first.seed, first.unseen) == ("erm", 0, 0.1)
    assert first.trained == {"worst": 0.8, "mean": pytest.approx(0.85)}
    _, shown = trade_off(results, "p=0.9", "worst")
    assert cells(shown)[2] == ["erm", "1", "82.0", "85.0", "14.0"]


@pytest.mark.usefixtures("drawn_pictures")
def test_pictures_are_drawn_with_many_runs_and_with_names_that_mean_something(tmp_path):
    many = {(f"$run {k}_", k): {"[north]": 0.5 + k / 100, "unseen": 0.4} for k in range(30)}
    results = [result(name, seed, found) for (name, seed), found in many.items()]
    assert "too many lines for one picture" in accuracy(results)[0]
    assert accuracy(results[:3])[0].startswith('<img class="picture" alt="Accuracy of every run')
    for some in (results, results[:3]):
        draw(points(some, "unseen"), "unseen", "mean", tmp_path / "trade.png")
        assert (tmp_path / "trade.png").stat().st_size > 10_000


def test_the_papers_tables_mark_what_is_not_validated_on(tmp_path):
    made = result("erm", 0, {"p=0.1": 0.9, "p=0.9": 0.2}, validation={"p=0.1": {"accuracy": 0.9, "rows": 10}})
    del made["unseen"]
    (tmp_path / "colored_mnist.jsonl").write_text(json.dumps(made) + "\n")
    (tmp_path / "k5.jsonl").write_text(json.dumps(made) + "\n")
    found = look_into(tmp_path)
    assert list(found.results) == ["colored_mnist", "k5"]
    assert unseen_environments(found.results["k5"]) == ["p=0.9"]


def test_stage_one_stands_beside_the_runs_and_models_of_tune_are_found(tmp_path, runs):
    write_results(tmp_path / "models")
    (tmp_path / "models" / "stage_one.jsonl").write_text(json.dumps(result("stage one", 0, {"p=0.1": 0.9})) + "\n")
    (tmp_path / "trials.jsonl").write_text(json.dumps(result("erm", 0, {"p=0.1": 0.8})) + "\n")
    (tmp_path / "models" / "erm-seed0").symlink_to(runs / "erm-seed0")
    found = look_into(tmp_path)
    assert list(found.results) == ["models/runs", "trials"]
    assert found.results["models/runs"][0]["name"] == "stage one"
    assert [model.name for model in found.models] == ["models/erm-seed0"]


def test_what_train_wrote_of_all_runs_is_read_where_their_lines_are_not_there(tmp_path):
    (tmp_path / SUMMARY).write_text(json.dumps([result("erm", 0, {"p=0.1": 0.9}), {"name": "left out"}]))
    assert [r["name"] for r in look_into(tmp_path).results[SUMMARY]] == ["erm"]


def test_a_trainers_own_folder_shows_what_its_card_says(tmp_path, runs):
    write_model(tmp_path, runs / "unfinished" / "encoder", dataset="reviews.csv")
    card = json.loads((tmp_path / "results.json").read_text())
    card["results"] = [
        {"environment": "north", "accuracy": 0.9, "rows": 40, "majority": None, "unseen": False},
        {"environment": "east", "accuracy": 0.3, "rows": 40, "majority": 0.5, "unseen": True},
    ]
    (tmp_path / "results.json").write_text(json.dumps(card))
    found = look_into(tmp_path)
    assert points(found.results[CARDS], "east")[0].trained["worst"] == 0.9
    assert found.models[0].builder is None


def directly(folder, texts):
    """The probabilities that anybody gets who loads the checkpoint."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        rows = [model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0] for text in texts]
    return torch.stack(rows).double().softmax(-1).numpy()


def test_probabilities_are_those_of_the_checkpoint(runs):
    (model, _), texts = look_into(runs).models, [WARM, WARM.replace(".", "!")]
    found = answer(model, texts)
    wanted = directly(model.folder, texts)
    assert found.labels == LABELS
    assert found.probabilities == pytest.approx(wanted, abs=1e-6)
    assert np.abs(wanted[0] - wanted[1]).max() > 0.01, "the mark matters to this model"
    assert found.cut is None
    rows = cells(compared([model], *texts))
    assert rows[1] == ["erm-seed0", "as typed", found.says(0), *(f"{100 * p:.1f}" for p in wanted[0])]
    assert rows[3] == ["", "change", "", *(f"{100 * p:+.1f}" for p in wanted[1] - wanted[0])]


def test_a_text_that_is_cut_is_said_to_be(runs):
    assert "reads the first 32 tokens" in compared(look_into(runs).models[:1], "warm " * 50)


def test_the_final_mark_is_turned_round():
    turn = DATASETS["punctuated_sst2"].turn_cue
    assert turn("A fine film .") == "A fine film !"
    assert turn("A fine film!") == "A fine film ."
    assert turn("A fine film") == "A fine film !"
    assert turn("Was it?!") == "Was it ."
    assert DATASETS["colored_mnist"].turn_cue("A fine film .") is None


def test_empty_text_no_model_and_a_broken_model_are_a_sentence_each(runs, tmp_path):
    models = look_into(runs).models
    assert compared(models, "  ") == "<p>The text is empty: type a sentence first.</p>"
    assert compared([], WARM) == "<p>No model is picked: tick one or more.</p>"
    write_model(tmp_path / "m", runs / "unfinished" / "encoder")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"cut off")
    said = compared(look_into(tmp_path).models, WARM)
    assert "<p>m: The weights of" in said
    assert "cannot be read" in said


def test_names_are_only_names():
    shown = table(["<b>"], [["${1}{{x}}"]], "`a`")
    assert "<b>" not in shown
    assert not set("${`") & set(shown)
    assert words("a\nb") == "a b"


def explore(*given):
    return CliRunner().invoke(app, ["explore", *map(str, given), "--no-open"])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "There is no folder"),
        ({}, "holds neither results nor models of runs"),
        ({"sub/runs.jsonl": "{}"}, "sub does, so name that one"),
        ({"runs.jsonl": "{broken\n"}, "Line 1 of"),
        ({"results.json": "[broken"}, "cannot be read"),
        ({"a/config.json": "{broken"}, "It looks like the config file at"),
    ],
)
def test_a_folder_without_anything_is_refused_in_one_line(files, message, tmp_path):
    pytest.importorskip("gradio", reason="no gradio: pip install 'hf_metairm[explore]'")
    folder = tmp_path / "runs"
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if files == {}:
        folder.mkdir()
    done = explore(folder)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr


def test_a_broken_line_is_named_and_the_others_are_shown(runs, tmp_path):
    write_results(tmp_path)
    with open(tmp_path / "runs.jsonl", "a") as lines:
        lines.write('{"name": "erm", "se\n')
    found = look_into(tmp_path)
    assert len(found.results["runs"]) == 4
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"Line 5 of {tmp_path / 'runs.jsonl'} cannot be read")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "70000"], "give a number from 1 to 65535"),
        (["--host", "nowhere.invalid"], "is no address"),
        (["--host", "203.0.113.1"], "cannot be listened on"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused_in_one_line(options, message, runs):
    pytest.importorskip("gradio", reason="no gradio: pip install 'hf_metairm[explore]'")
    done = explore(runs, *options)
    assert done.exit_code in (1, 2)
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_port_that_is_taken_is_one_line(runs):
    pytest.importorskip("gradio", reason="no gradio: pip install 'hf_metairm[explore]'")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = explore(runs, "--port", port)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: --host 127.0.0.1 --port {port} cannot be listened on")
    assert done.stderr.count("\n") == 1


def test_without_gradio_one_line_says_how_to_install_it(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = explore(runs)
    assert done.exit_code == 1
    assert done.stderr == "Error: `explore` needs the extra of that name: pip install 'hf_metairm[explore]'.\n"


def test_what_there_is_not_is_said_on_the_page(tmp_path, runs):
    pytest.importorskip("gradio", reason="no gradio: pip install 'hf_metairm[explore]'")
    from hf_metairm.explore.page import build

    def said(folder):
        return str(build(look_into(folder)).get_config_file())

    images = tmp_path / "images"
    ColoredMNISTClassifier(ColoredMNISTConfig(hidden_size=4)).save_pretrained(images / "erm-seed0")
    assert kind_of(str(images / "erm-seed0")) == "image"
    assert "read images, and so there is no sentence to try: erm-seed0." in said(images)
    assert "There are no results of runs in this folder." in said(images)
    results = write_results(tmp_path / "results", {("erm", 0): {"p=0.1": 0.9, "p=0.2": 0.8}})
    assert "There is no saved model in this folder." in said(results)
    assert "there is nothing to trade" in said(results)
    assert "no saved model" not in said(runs)
