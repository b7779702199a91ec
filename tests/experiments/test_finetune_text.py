"""The quick start's own path on a tiny encoder and a person's own file, from the command line to the table."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import shutil
import signal

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_metairm import MetaIRMTrainer
from hf_metairm.data.seen import SEEN, SeenTexts
from hf_metairm.experiments import finetune_text
from hf_metairm.experiments.finetune_text import main
from hf_metairm.experiments.verdict import verdict
from hf_metairm.models.text_classifier import load_classifier

from ..faults import in_a_fork
from ..models.tiny import save_tiny_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A CSV with a site column, whose writers are as good a cue as in no two sites alike."""
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    generator = random.Random(0)
    with open(file, "w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["text", "stars", "site"])
        for site in ("north", "south", "east"):
            for k in range(40):
                good = k % 2 == 0
                words = ["fine", "lovely"] if good else ["dull", "awful"]
                rows.writerow([f"{generator.choice(words)} film number {k}", "good" if good else "bad", site])
    return file


def words(folder, reviews, out, *more):
    return [
        "--model_name_or_path", str(folder), "--dataset", str(reviews), "--text_column", "text",
        "--label_column", "stars", "--environment_column", "site", "--unseen_environments", "east",
        "--output_dir", str(out), "--max_steps", "3", "--per_device_train_batch_size", "16", "--report_to", "none",
        "--use_cpu", "true", "--disable_tqdm", "true", "--logging_steps", "1", *more,
    ]  # fmt: skip


@pytest.mark.parametrize("trainable", ["head", "top:1", "all", "lora"])
def test_own_csv_from_file_to_table_and_checkpoint(trainable, folder, reviews, tmp_path, capsys):
    main(words(folder, reviews, tmp_path, "--trainable", trainable, "--max_length", "32"))
    printed = capsys.readouterr().out
    assert "one seed, ± standard error of the test set" in printed
    results = json.loads((tmp_path / "results.json").read_text())
    assert [r["name"] for r in results] == ["erm", "meta-irm"]
    assert set(results[1]["test"]) == {"north", "south", "east"}
    assert results[1]["test"]["east"]["rows"] == 40, "all rows of the unseen environment are tested on"
    assert {"risk_north", "risk_south", "meta_loss_std", "grad_norm"} <= set(results[1]["history"][0])
    assert (tmp_path / "accuracy.png").exists()
    # What guessing gets stands beside it, and the last line says where nothing was gained.
    assert [r["classes"] for r in results] == [2, 2]
    assert results[0]["test"]["east"]["majority"] == 0.5
    assert "guessing among 2 classes is right in 50.0 %" in (tmp_path / "table.md").read_text()
    # Eight of ten rows of the file were trained on, and the checkpoint knows it.
    seen = SeenTexts.load(tmp_path / "meta-irm-seed0" / SEEN)
    with open(reviews) as handle:
        north = [row["text"] for row in csv.DictReader(handle) if row["site"] == "north"]
    assert seen.among(north).mean() >= 0.8
    assert not seen.among(["a text of somebody else's"]).any()
    said = verdict(results, "hf-metairm tune") or f"Results, table and picture: {tmp_path}"
    assert printed.splitlines()[-1] == said
    # The checkpoint, loaded as anybody would, is right as often as the result says.
    checkpoint = tmp_path / "meta-irm-seed0"
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    with open(reviews) as handle:
        east = [row for row in csv.DictReader(handle) if row["site"] == "east"]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    assert tokenizer.model_max_length == 32, "texts are cut as in training"
    tokens = tokenizer([row["text"] for row in east], padding=True, return_tensors="pt")
    with torch.no_grad():
        predicted = model(**tokens).logits.argmax(-1).tolist()
    right = sum(["bad", "good"][k] == row["stars"] for k, row in zip(predicted, east)) / len(east)
    assert right == pytest.approx(results[1]["test"]["east"]["accuracy"])
    if trainable != "lora":
        assert model.config.id2label == {0: "bad", 1: "good"}
    # The folder is ready to be pushed: its card and figures are of this run, without the names of folders.
    card = ModelCard.load(checkpoint / "README.md")
    assert card.data.library_name == ("peft" if trainable == "lora" else "transformers")
    assert ("lora" in card.data.tags) == (trainable == "lora")
    assert {r.dataset_args["environment"]: r.metric_value for r in card.data.eval_results} == pytest.approx(
        {name: found["accuracy"] for name, found in results[1]["test"].items()}, abs=1e-6
    )
    assert "| `east` | 40 |" in card.text
    assert "`reviews.csv`" in card.text
    assert (checkpoint / "training_curves.png").exists()
    shared = card.content + (checkpoint / "results.json").read_text()
    assert str(folder) not in shared
    assert str(reviews.parent) not in shared


def test_a_result_that_is_there_is_kept_and_another_setting_is_another_run(folder, reviews, tmp_path, capsys):
    base = words(folder, reviews, tmp_path, "--trainable", "head")
    main(base)
    first = json.loads((tmp_path / "results.json").read_text())
    main([*base, "--selection_rule", "by the test set"])
    assert "kept from" in capsys.readouterr().out
    assert json.loads((tmp_path / "results.json").read_text()) == first
    main([*base, "--learning_rate", "0.5"])
    assert json.loads((tmp_path / "results.json").read_text())[0]["history"] != first[0]["history"]


def test_another_setting_replaces_no_result_and_the_table_keeps_every_algorithm(folder, reviews, tmp_path):
    base = words(folder, reviews, tmp_path, "--trainable", "head")
    main([*base, "--algorithms", "erm"])
    weights = (tmp_path / "erm-seed0" / "model.safetensors").read_bytes()
    main([*base, "--algorithms", "v-rex"])
    assert "| erm |" in (tmp_path / "table.md").read_text()
    assert "| v-rex |" in (tmp_path / "table.md").read_text()
    main([*base, "--algorithms", "erm", "--learning_rate", "0.5"])
    table = (tmp_path / "table.md").read_text()
    assert "| erm, learning\\_rate 0.5 |" in table
    assert "| v-rex |" in table
    assert "east (unseen)" in table
    assert len(json.loads((tmp_path / "results.json").read_text())) == 3
    assert (tmp_path / "erm-seed0" / "model.safetensors").read_bytes() == weights
    assert (tmp_path / "erm-seed0-2" / "model.safetensors").read_bytes() != weights


def test_a_token_is_written_nowhere(folder, reviews, tmp_path, monkeypatch, capfd):
    """Neither one among the settings nor one of the environment nor one in an address: in no file, log or card."""
    monkeypatch.setenv("HF_TOKEN", "another")
    monkeypatch.setenv("OTHER_API_KEY", "key-of-the-environment")
    rule = "by https://me:pass-word@host/rule, with key-of-the-environment"
    main(words(folder, reviews, tmp_path, "--trainable", "head", "--hub_token", "hf_secret", "--save_steps", "1",
               "--selection_rule", rule))  # fmt: skip
    assert os.environ["HF_TOKEN"] == "hf_secret"
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"settings.json", "results.json", "runs.jsonl", "training_args.bin"} <= {file.name for file in written}
    assert "(secret)" in (tmp_path / "erm-seed0" / "README.md").read_text().replace("&#40;", "(").replace("&#41;", ")")
    printed = "".join(capfd.readouterr()).encode()
    for secret in (b"hf_secret", b"pass-word", b"key-of-the-environment"):
        assert [file for file in written if secret in file.read_bytes()] == []
        assert secret not in printed
    with pytest.raises(SystemExit):
        main([*words(folder, reviews, tmp_path), "--dataset", "https://me:pass-word@host/gone.csv"])
    assert "pass-word" not in "".join(capfd.readouterr())


def test_runs_are_reproducible_and_seeds_differ(folder, reviews, tmp_path):
    for out in ("one", "two"):
        main(words(folder, reviews, tmp_path / out, "--trainable", "head", "--algorithms", "meta-irm",
                   "--seeds", "0", "1"))  # fmt: skip
    losses = [
        [[h["loss"] for h in r["history"]] for r in json.loads((tmp_path / out / "results.json").read_text())]
        for out in ("one", "two")
    ]
    assert losses[0] == losses[1]
    assert losses[0][0] != losses[0][1]


def test_interrupted_run_leaves_a_checkpoint_and_goes_on(folder, reviews, tmp_path):
    """A real Ctrl-C in the middle of training; the result is that of a run that was left alone."""
    base = words(folder, reviews, tmp_path / "stopped", "--algorithms", "meta-irm", "--trainable", "all")
    base[base.index("--max_steps") + 1] = "12"
    step = MetaIRMTrainer.training_step
    steps = itertools.count()

    def interrupted(*args):
        if next(steps) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*args)

    def start():
        MetaIRMTrainer.training_step = interrupted
        main(base)

    log = tmp_path / "log"
    assert in_a_fork(start, log) == 130, log.read_text()
    assert "the same command goes on from there" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert list((tmp_path / "stopped" / "meta-irm-seed0").glob("checkpoint-*"))
    main(base)
    resumed = json.loads((tmp_path / "stopped" / "results.json").read_text())[0]
    assert resumed["resumed"]
    assert resumed["steps"] == 12
    base[base.index("--output_dir") + 1] = str(tmp_path / "whole")
    main(base)
    weights = [
        AutoModelForSequenceClassification.from_pretrained(tmp_path / which / "meta-irm-seed0").state_dict()
        for which in ("stopped", "whole")
    ]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--environment_column", "place"], "no column 'place'"),
        (["--unseen_environments", "west"], "No rows of environment 'west'; there are east, north, south."),
        (["--unseen_environments", "east", "south"], "single environment"),
        (["--per_device_train_batch_size", "15"], "cannot be shared evenly"),
        (["--trainable", "some"], "use all, head, top:1"),
        (["--dataset", __file__], "files of kind '.py' cannot be read"),
        (["--learning_rat", "1"], "did you mean 'learning_rate'"),
        (["--max_length", "0"], "max_length=0 is refused"),
        (["--missing_values", "good"], "60 rows have no value in column 'stars'"),
        (["--quoted", "perhaps"], "--quoted"),
        (["--model_name_or_path", "/nowhere"], "There is no folder /nowhere"),
        (["--model_name_or_path", "nowhere"], "nowhere is neither a folder nor a model"),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(change, message, folder, reviews, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*words(folder, reviews, tmp_path, "--trainable", "head"), *change])
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert stopped.value.code == 2
    assert len(errors) == 1
    assert message in errors[0]


def test_a_head_for_other_classes_is_replaced_with_a_warning(folder, reviews, tmp_path, caplog):
    load_classifier(str(folder), ["a", "b", "c"], mean_pooling=False).save_pretrained(tmp_path / "three")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "three")
    main(words(tmp_path / "three", reviews, tmp_path, "--trainable", "head", "--algorithms", "erm"))
    assert "tells 3 classes apart, and there are 2 here: its head is replaced" in caplog.text
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "erm-seed0")
    assert model.config.id2label == {0: "bad", 1: "good"}


def test_a_run_that_diverges_has_failed(folder, reviews, tmp_path, capsys):
    diverging = ["--learning_rate", "1e30", "--max_grad_norm", "0", "--lr_scheduler_type", "constant"]
    with pytest.raises(SystemExit) as stopped:
        main(words(folder, reviews, tmp_path, "--trainable", "all", "--algorithms", "erm", *diverging))
    assert stopped.value.code == 1
    assert "training diverged: the loss is NaN or infinite in 3 of 3 environments" in capsys.readouterr().err
    assert not (tmp_path / "table.md").exists()


def test_texts_are_cut_to_what_the_model_has_positions_for(folder, tmp_path):
    texts = ["fine " * 400, "x" * 1_000_000, "", " "] * 6
    file = tmp_path / "long.csv"
    file.write_text("text,stars,site\n" + "".join(f"{t},{k % 2},{'ab'[k // 12]}\n" for k, t in enumerate(texts)))
    base = words(folder, file, tmp_path, "--trainable", "all", "--algorithms", "erm", "--max_length", "500")
    at = base.index("--unseen_environments")
    main(base[:at] + base[at + 2 :])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "erm-seed0")
    assert tokenizer.model_max_length == 64, "of the tiny encoder"


def test_texts_that_are_tokenized_when_they_are_shown_train_the_same_model(folder, reviews, tmp_path, monkeypatch):
    found = []
    for most in (100_000, 0):
        monkeypatch.setattr(finetune_text, "MOST_TOKENIZED", most)
        main(words(folder, reviews, tmp_path / str(most), "--trainable", "all", "--algorithms", "meta-irm"))
        (result,) = json.loads((tmp_path / str(most) / "results.json").read_text())
        found.append(([entry["loss"] for entry in result["history"]], result["test"]))
    assert found[0] == found[1]


def test_results_are_known_by_what_is_in_files(folder, reviews, tmp_path, capsys):
    rows, model = tmp_path / "rows.csv", tmp_path / "model"
    rows.write_bytes(reviews.read_bytes())
    shutil.copytree(folder, model)
    base = words(model, rows, tmp_path / "out", "--trainable", "head", "--algorithms", "erm")
    main(base)
    capsys.readouterr()
    main(base)
    assert "1 runs: 1 are there, 0 to do" in capsys.readouterr().out
    rows.write_text(rows.read_text().replace("east", "west"))
    base[base.index("--unseen_environments") + 1] = "west"
    main(base)
    assert "is done anew" not in capsys.readouterr().out, "another setting, too"
    rows.write_text(rows.read_text().replace("lovely", "grand"))
    main(base)
    said = "erm, seed 0: the rows changed since the result that is there, so it is done anew."
    assert said in capsys.readouterr().out
    weights = load_file(model / "model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, model / "model.safetensors", {"format": "pt"})
    main(base)
    assert said.replace("rows", "pretrained model") in capsys.readouterr().out
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 4


def test_on_a_file_with_no_more_than_its_columns_named(folder, reviews, tmp_path):
    main(
        ["--dataset", str(reviews), "--text_column", "text", "--label_column", "stars", "--environment_column", "site",
         "--model_name_or_path", str(folder), "--output_dir", str(tmp_path), "--max_steps", "2", "--use_cpu", "true"]
    )  # fmt: skip
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results[1]["test"]) == {"north", "south", "east"}, "three sites share a batch"


def test_a_file_that_is_not_there(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(
            ["--dataset", str(tmp_path / "gone.csv"), "--model_name_or_path", "minilm", "--output_dir", str(tmp_path)]
        )
    assert left.value.code == 2
    assert "There is no file" in capsys.readouterr().err
