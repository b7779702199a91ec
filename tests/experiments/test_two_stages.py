"""Two stages on a tiny encoder: what is divided, trained, kept, and saved as one model."""

from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from hf_metairm.experiments.encoder_outputs import key_of_tokenizer
from hf_metairm.experiments.finetune_text import TextArguments, TextComparison, main
from hf_metairm.experiments.heads import DEFAULTS, head_trainer
from hf_metairm.experiments.settings import read_settings
from hf_metairm.trainer import EnvironmentConfig, MetaIRMConfig

from ..models.tiny import save_tiny_encoder
from ..tuning.made import made_features


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    draw = random.Random(0)
    with open(file, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label", "site"])
        for site, count in (("north", 60), ("south", 40), ("east", 20)):
            for k in range(count):
                good = k % 2 == 0
                word = draw.choice(["fine", "lovely"] if good else ["dull", "awful"])
                writer.writerow([f"{word} film {k} of {site}", "good" if good else "bad", site])
    return file


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_METAIRM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def words(folder, reviews, out, *more):
    return [
        "--model_name_or_path", str(folder), "--dataset", str(reviews), "--environment_column", "site",
        "--unseen_environments", "east", "--output_dir", str(out), "--stages", "two", "--max_steps", "8",
        "--head_units", "6", "--use_cpu", "true", "--disable_tqdm", "true", *more,
    ]  # fmt: skip


@pytest.mark.parametrize("trainable", ["all", "lora", "head"])
def test_what_is_saved_is_one_ordinary_model_with_the_heads_own_results(trainable, folder, reviews, cache, tmp_path):
    main(words(folder, reviews, tmp_path / "out", "--trainable", trainable))
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    named = {result["name"]: result for result in results}
    assert set(named) == {"erm", "meta-irm"} | ({"stage one"} if trainable != "head" else set())
    place = tmp_path / "out" / "meta-irm-seed0"
    classify = pipeline("text-classification", str(place))
    assert type(classify.model).__name__ == "BertForSequenceClassification"
    with open(reviews) as handle:
        east = [row for row in csv.DictReader(handle) if row["site"] == "east"]
    right = [classify(row["text"])[0]["label"] == row["label"] for row in east]
    assert np.mean(right) == pytest.approx(named["meta-irm"]["test"]["east"]["accuracy"])
    assert named["meta-irm"]["unseen"] == ["east"]
    assert (place / "README.md").read_text().count("east")


@pytest.mark.parametrize(("more", "error"), [((), 1e-5), (("--features_bf16", "true"), 0.1)])
def test_the_whole_model_has_the_heads_logits(more, error, folder, reviews, cache, tmp_path):
    settings = read_settings(TextArguments, words(folder, reviews, tmp_path / "out", *more))
    comparison = TextComparison(settings)
    two_stages, features = comparison.two_stages(None, 0)
    config = MetaIRMConfig(str(tmp_path / "head"), **{**DEFAULTS, "max_steps": 20, "use_cpu": True})
    trainer = head_trainer("meta-irm", features, config, units=6, two_stages=two_stages)
    trainer.train()
    expected = trainer.predict(features.test).predictions
    trainer.save_model(str(tmp_path / "whole"))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "whole").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "whole")
    tokens = tokenizer(comparison.data(None, 0).test["sentence"][:], padding=True, return_tensors="pt")
    with torch.no_grad():
        found = model(**tokens).logits
    np.testing.assert_allclose(found.numpy(), expected, atol=error)


def test_the_encoder_is_fine_tuned_once_and_no_row_of_it_reaches_a_head(folder, reviews, cache, tmp_path, capsys):
    texts = ["a fine film", "a dull film | of the south"]
    main(words(folder, reviews, tmp_path / "one", "--examples", *texts))
    printed = capsys.readouterr().out
    assert "Stage one: fine-tuning" in printed
    for text in texts:
        said = [
            pipeline("text-classification", str(tmp_path / "one" / f"{n}-seed0"))(text)[0] for n in ("erm", "meta-irm")
        ]
        cells = [f"{one['label']} ({100 * one['score']:.0f} %)" for one in said]
        line = next(line for line in printed.splitlines() if text in line)
        assert [cells[0] in line, cells[1] in line] == [True, True]
    card = (tmp_path / "one" / "meta-irm-seed0" / "README.md").read_text()
    erm = next(r for r in json.loads((tmp_path / "one" / "results.json").read_text()) if r["name"] == "erm")
    assert re.search(rf"\| `east` .*{100 * erm['test']['east']['accuracy']:.1f}", card), "ERM stands beside it"
    assert "a fine film" in card
    assert "trained a new head of 6 units" in card
    table = (tmp_path / "one" / "table.md").read_text()
    assert "| stage one |" in table
    main(words(folder, reviews, tmp_path / "one"))
    assert (tmp_path / "one" / "table.md").read_text() == table, "what stage one left is there, also where all is done"
    capsys.readouterr()
    main(words(folder, reviews, tmp_path / "two"))
    printed = capsys.readouterr().out
    assert "fine-tuned on these rows before" in printed
    assert "Encoding" not in printed, "the features were kept, too"
    settings = read_settings(TextArguments, words(folder, reviews, tmp_path / "one"))
    comparison = TextComparison(settings)
    two_stages, features = comparison.two_stages(None, 0)
    parts = [set(part.tolist()) for part in two_stages.parts.values()]
    assert len(set.union(*parts)) == sum(map(len, parts)) == len(comparison.data(None, 0).train)
    assert len(features.train) == len(two_stages.parts["train"])
    assert torch.allclose(features.train["features"].mean(0), torch.zeros(16), atol=1e-4)


def test_a_head_may_train_on_the_rows_of_the_first_stage_too(folder, reviews, cache, tmp_path):
    def parts(*more):
        settings = read_settings(TextArguments, words(folder, reviews, tmp_path / "one", *more))
        two_stages, features = TextComparison(settings).two_stages(None, 0)
        assert len(features.train) == len(two_stages.parts["train"])
        return {name: set(rows.tolist()) for name, rows in two_stages.parts.items()}

    other, everything = parts(), parts("--head_rows", "all")
    assert everything["train"] == other["train"] | other["stage one"]
    assert everything["validation"] == other["validation"]
    assert not everything["train"] & everything["validation"]
    assert len(list(Path(cache).rglob("model/config.json"))) == 1, "the first stage is the same"


def test_a_first_stage_that_was_broken_off_goes_on(folder, reviews, cache, tmp_path, monkeypatch):
    from hf_metairm.experiments import two_stages

    more = words(folder, reviews, tmp_path / "one")
    with monkeypatch.context() as broken:
        broken.setattr(two_stages, "filling", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(SystemExit):
            main(more)
    assert not list(Path(cache).rglob("model/config.json"))
    main(more)
    assert len(list(Path(cache).rglob("model/config.json"))) == 1


def test_each_step_sees_all_rows_of_every_environment(tmp_path):
    features = made_features({"a": 0.9, "b": 0.6}, {})
    uneven = features.train.select([k for k in range(len(features.train)) if k < 450])
    config = EnvironmentConfig(str(tmp_path), **{**DEFAULTS, "max_steps": 3, "use_cpu": True})
    trainer = head_trainer("erm", features, config, units=4, train=uneven)
    batches = list(trainer.get_train_dataloader())
    assert len(batches) == 3
    assert {name: len(part["labels"]) for name, part in batches[0].items()} == {"a": 400, "b": 50}
    assert torch.equal(batches[0]["b"]["features"], uneven["features"][400:])
    trainer.train()
    assert trainer.state.global_step == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--head_units", "17"), "head_units=17: the model's own head has 16"),
        (("--head_units", "0"), "head_units=0 is refused"),
        (("--stage_one_share", "0.9"), "leave no rows for the head"),
        (("--head_rows", "some"), "head_rows"),
        (("--stage_one_epochs", "nan"), "stage_one_epochs=nan is refused"),
        (("--stages", "three"), "stages"),
    ],
)
def test_what_two_stages_cannot_do_is_refused_in_a_line(more, message, folder, reviews, cache, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words(folder, reviews, tmp_path / "out", *more))
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("Error: ")
    assert message in error


def test_a_frozen_encoder_reads_the_texts_once_for_all_seeds(folder, reviews, cache, tmp_path, capsys):
    # In bfloat16 rows to train on are read apart from those to test on, which are others with another seed.
    exactly = ("--stage_one_bf16", "false")
    main(words(folder, reviews, tmp_path / "out", "--trainable", "head", "--seeds", "0", "1", *exactly))
    assert capsys.readouterr().out.count("Encoding 120 texts, once for all") == 1


def test_texts_are_cut_to_what_the_model_reads(folder, reviews, cache, tmp_path):
    file = tmp_path / "long.csv"
    file.write_text(reviews.read_text().replace("film", "film " * 100))
    main(words(folder, file, tmp_path / "out", "--trainable", "head", "--max_length", "256"))
    assert AutoTokenizer.from_pretrained(tmp_path / "out" / "erm-seed0").model_max_length == 64


def test_a_tokenizer_that_was_used_is_the_same_tokenizer(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    before = key_of_tokenizer(tokenizer, 32)
    tokenizer(["a text", "a longer text than that"], padding=True, truncation=True, max_length=4)
    assert key_of_tokenizer(tokenizer, 32) == before != key_of_tokenizer(tokenizer, 31)
