"""Checkpoints as their Trainers leave them, evaluated by name, against what the Trainer itself said."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)
from typer.testing import CliRunner

from hf_metairm import EnvironmentConfig, EnvironmentTrainer
from hf_metairm.cli import app
from hf_metairm.data.tensors import image_tensors
from hf_metairm.evaluation import classifier, counting, evaluate_checkpoint
from hf_metairm.evaluation.report import print_evaluation, write_evaluation
from hf_metairm.models import (
    BagOfEmbeddingsClassifier,
    BagOfEmbeddingsConfig,
    ColoredMNISTClassifier,
    ColoredMNISTConfig,
    word_tokenizer,
)
from hf_metairm.models.text_classifier import choose_trainable, load_classifier

from ..models.tiny import save_tiny_encoder
from ..trainer.toys import arguments


STARS = ["bad", "fair", "good"]
SITES = ["berlin", "lima", "oslo"]


@pytest.fixture(scope="module")
def reviews():
    generator = np.random.default_rng(0)
    words = [["dull", "awful", "weak"], ["fine", "plain", "calm"], ["lovely", "bright", "moving"]]
    labels = generator.integers(3, size=150)
    return datasets.Dataset.from_dict(
        {
            "text": [" ".join(generator.choice(words[k], generator.integers(1, 9))) for k in labels],
            "stars": [STARS[k] for k in labels],
            "site": [SITES[k % 3] for k in range(150)],
        }
    )


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def trained(model, rows, folder, processor=None, column="site", **options):
    args = arguments(folder, EnvironmentConfig, learning_rate=0.03, environment_column=column, **options)
    trainer = EnvironmentTrainer(model, args, train_dataset=rows, eval_dataset=rows, processing_class=processor)
    trainer.train()
    metrics = trainer.evaluate()
    trainer.save_model()
    return metrics


def tokenized(rows, tokenizer):
    rows = rows.map(lambda batch: tokenizer(batch["text"]), batched=True)
    return rows.add_column("label", [STARS.index(star) for star in rows["stars"]])


def check(evaluation, metrics):
    assert {e.name: e.metrics["accuracy"] for e in evaluation.environments} == {
        e.name: pytest.approx(metrics[f"eval_{e.name}_accuracy"]) for e in evaluation.environments
    }
    assert evaluation.worst == pytest.approx(metrics["eval_worst_environment_accuracy"])
    assert evaluation.mean == pytest.approx(metrics["eval_mean_environment_accuracy"])
    assert evaluation.overall["accuracy"] == pytest.approx(metrics["eval_accuracy"])
    for e in evaluation.environments:
        assert np.sum(e.confusion) == e.rows
        assert np.trace(e.confusion) / e.rows == pytest.approx(e.metrics["accuracy"])


@pytest.mark.parametrize("trainable", ["all", "lora"])
def test_text_classifier_and_adapter(trainable, reviews, encoder, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    torch.manual_seed(1)
    model = choose_trainable(load_classifier(str(encoder), STARS, mean_pooling=False), trainable)
    metrics = trained(model, tokenized(reviews, tokenizer), tmp_path, tokenizer, max_steps=6)
    evaluation = evaluate_checkpoint(
        str(tmp_path), reviews, environment_column="site", label_column="stars", batch_size=32, device="cpu"
    )
    check(evaluation, metrics)
    assert evaluation.labels == STARS
    in_numpys_format = evaluate_checkpoint(
        str(tmp_path), reviews.with_format("numpy"), environment_column="site", label_column="stars", device="cpu"
    )
    check(in_numpys_format, metrics)
    assert len({e.metrics["accuracy"] for e in evaluation.environments}) > 1


def test_bag_of_embeddings(reviews, tmp_path):
    tokenizer = word_tokenizer(reviews["text"])
    model = BagOfEmbeddingsClassifier(BagOfEmbeddingsConfig(len(tokenizer), 8, 8, num_labels=3))
    metrics = trained(model, tokenized(reviews, tokenizer), tmp_path, tokenizer)
    rows = reviews.class_encode_column("stars")
    check(evaluate_checkpoint(str(tmp_path), rows, environment_column="site", label_column="stars"), metrics)


@pytest.fixture(scope="module")
def pictures():
    """Painted as Colored MNIST is: grey pixels in the colour of `color`."""
    generator = np.random.default_rng(0)
    color = generator.integers(2, size=60)
    grey = generator.integers(256, size=(60, 4, 4), dtype=np.uint8)
    images = np.zeros((60, 4, 4, 3), np.uint8)
    for k in range(60):
        images[k, ..., color[k]] = grey[k]
    features = {"label": datasets.ClassLabel(names=["low", "high"]), "image": datasets.Image()}
    rows = datasets.Dataset.from_dict(
        {
            "image": [Image.fromarray(image) for image in images],
            "label": generator.integers(2, size=60),
            "color": color,
            "environment": ["p=0.1", "p=0.9"] * 30,
        }
    )
    for name, feature in features.items():
        rows = rows.cast_column(name, feature)
    return rows


@pytest.mark.parametrize("channels", [1, 2])
def test_colored_mnist_with_and_without_colours(channels, pictures, tmp_path):
    model = ColoredMNISTClassifier(ColoredMNISTConfig(channels, image_size=4, hidden_size=8))
    rows = image_tensors(pictures if channels == 2 else pictures.remove_columns("color"))
    metrics = trained(model, rows, tmp_path, column="environment")
    renamed = pictures.rename_columns({"environment": "p", "label": "y"})
    check(evaluate_checkpoint(str(tmp_path), renamed, environment_column="p", label_column="y"), metrics)


def test_any_image_classifier(pictures, tmp_path):
    config = ViTConfig(
        image_size=8, patch_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    torch.manual_seed(0)
    model, processor = ViTForImageClassification(config).eval(), ViTImageProcessor(size={"height": 8, "width": 8})
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    evaluation = evaluate_checkpoint(str(tmp_path), pictures, batch_size=7)
    with torch.no_grad():
        inputs = processor([image.convert("RGB") for image in pictures["image"]], return_tensors="pt")
        predicted = model(**inputs).logits.argmax(-1).numpy()
    right = predicted == np.array(pictures["label"])
    assert [e.metrics["accuracy"] for e in evaluation.environments] == [right[::2].mean(), right[1::2].mean()]


@pytest.fixture(scope="module")
def checkpoint(reviews, encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    load_classifier(str(encoder), STARS).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def csv(reviews, tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    reviews.to_csv(file)
    return file


def run(*words):
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


COLUMNS = ("--environment_column", "site", "--label_column", "stars")


@pytest.mark.usefixtures("drawn_pictures")
def test_command_prints_tables_and_writes_files(checkpoint, csv, tmp_path):
    done = run(checkpoint, csv, *COLUMNS, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    for text in ("berlin", "worst", "mean over environments", "95 % interval", "Confusion in oslo"):
        assert text in done.stdout
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [e["name"] for e in found["environments"]] == SITES
    worst = min(found["environments"], key=lambda e: e["accuracy"])
    assert found["worst_environment"] == worst["name"]
    low, high = found["worst_interval"]
    assert 0 <= low <= worst["accuracy"] <= high <= 1
    assert (tmp_path / "out" / "accuracy.png").stat().st_size > 5000
    assert "| worst environment |" in (tmp_path / "out" / "table.md").read_text()


def test_json_is_all_of_stdout(checkpoint, csv):
    first, again = (json.loads(run(checkpoint, csv, *COLUMNS, "--json").stdout) for _ in range(2))
    assert first == again
    assert first["labels"] == STARS
    assert first["worst_accuracy"] == min(e["accuracy"] for e in first["environments"])


@pytest.fixture
def erm(reviews, encoder, tmp_path):
    """A checkpoint whose card says that ERM trained it, in two of three sites."""
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    rows = tokenized(reviews, tokenizer)
    seen = rows.filter(lambda row: row["site"] != "oslo")
    model = load_classifier(str(encoder), STARS, mean_pooling=False)
    args = arguments(tmp_path / "erm-seed0", EnvironmentConfig, environment_column="site", learning_rate=0.03)
    trainer = EnvironmentTrainer(model, args, train_dataset=seen, eval_dataset=rows, processing_class=tokenizer)
    trainer.train()
    trainer.save_model()
    trainer.create_model_card()
    return tmp_path / "erm-seed0", trainer.evaluate()


def test_several_checkpoints_stand_side_by_side(erm, checkpoint, csv, tmp_path):
    folder, metrics = erm
    words = (checkpoint, csv, *COLUMNS, "--with", folder)
    alone = json.loads(run(checkpoint, csv, *COLUMNS, "--json").stdout)
    assert json.loads(run(*words, "--json").stdout) == [
        alone,
        json.loads(run(folder, csv, *COLUMNS, "--json").stdout),
    ]
    done = run(*words, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    header, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (tmp_path / "out" / "table.md").read_text().splitlines()
        if line.startswith("|")
    ]
    assert header == ["environment", "rows", checkpoint.name, "erm-seed0 (ERM)", "majority, %"]
    table = {line[0]: line for line in lines}
    for site, found in zip(SITES, alone["environments"]):
        assert table[site][2].startswith(f"{100 * found['accuracy']:.1f} (")
        assert table[site][3].startswith(f"{100 * metrics[f'eval_{site}_accuracy']:.1f} (")
        assert table[site][3].endswith("unseen") == (site == "oslo")
    assert table["worst environment"][2].endswith(alone["worst_environment"])
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 2


def test_rows_that_were_trained_on_are_told(erm, checkpoint, reviews, csv):
    folder, _ = erm
    seen = {text for text, site in zip(reviews["text"], reviews["site"]) if site != "oslo"}
    found = json.loads(run(folder, csv, *COLUMNS, "--json").stdout)
    for environment in found["environments"]:
        texts = [text for text, site in zip(reviews["text"], reviews["site"]) if site == environment["name"]]
        assert environment["trained_on"] == pytest.approx(np.mean([text in seen for text in texts]))
    (note,) = [note for note in found["notes"] if "Trained on these very texts" in note]
    assert "berlin 100 %, lima 100 %" in note
    assert "Trained on" not in run(checkpoint, csv, *COLUMNS).stdout, "a checkpoint that does not say"
    shutil.copytree(folder, folder.with_name("again"))
    both, one = ((folder.with_name("again"), csv, *COLUMNS, "--with", other) for other in (folder, checkpoint))
    said = [" ".join(run(*words).stdout.split()) for words in (both, one)]
    assert [text.count("Trained on these very texts") for text in said] == [1, 1]
    assert ["again (ERM): Trained on" in text for text in said] == [False, True], "of which, where it is not of all"
    (folder / "_trained_on.safetensors").write_bytes(b"broken")
    assert run(folder, csv, *COLUMNS).exit_code == 0
    new = reviews.map(lambda row: {"text": row["text"] + " anew"})
    options = {"environment_column": "site", "label_column": "stars", "device": "cpu"}
    assert not [note for note in evaluate_checkpoint(str(folder), new, **options).notes if "Trained on" in note]


def test_a_checkpoint_that_is_not_there_is_told_before_any_is_evaluated(checkpoint, csv, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier.Classifier, "logits", None)
    done = run(checkpoint, csv, *COLUMNS, "--with", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path} is no checkpoint" in done.stderr


def test_rows_are_counted_where_there_is_no_terminal(checkpoint, csv, monkeypatch):
    monkeypatch.setattr(counting, "SECONDS_BETWEEN_LINES", 0.0)
    done = run(checkpoint, csv, *COLUMNS, "--batch_size", "50")
    assert re.findall("Evaluating: (.*)", done.stderr) == ["50 of 150 rows", "100 of 150 rows"]


def test_texts_are_cut_as_the_checkpoint_says(reviews, checkpoint, tmp_path):
    options = {"environment_column": "site", "label_column": "stars", "device": "cpu"}
    shutil.copytree(checkpoint, tmp_path / "short")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.model_max_length = 4
    tokenizer.save_pretrained(tmp_path / "short")
    kept = reviews.map(lambda row: {"text": " ".join(row["text"].split()[:2])})  # And two special tokens.
    cut, short = (evaluate_checkpoint(str(tmp_path / "short"), rows, **options) for rows in (reviews, kept))
    assert cut.environments == short.environments
    assert cut.environments != evaluate_checkpoint(str(checkpoint), reviews, **options).environments


def test_what_does_not_fit_is_refused_in_one_line(checkpoint, csv, encoder, tmp_path):
    bare = tmp_path / "bare"
    load_classifier(str(encoder), STARS).save_pretrained(bare)
    headless = tmp_path / "headless"
    BertModel(BertConfig(vocab_size=30, hidden_size=8, num_attention_heads=1, intermediate_size=8)).save_pretrained(
        headless
    )
    empty = tmp_path / "empty.csv"
    empty.write_text("text,stars,site\n")
    wrong = {
        (checkpoint, csv): "no column 'environment'",
        (checkpoint, csv, "--environment_column", "site"): "no column 'label'",
        (checkpoint, csv, *COLUMNS, "--text_column", "words"): "no column 'words'",
        (checkpoint, csv, "--environment_column", "stars", "--label_column", "site"): "none of the model's classes",
        (checkpoint, csv, *COLUMNS, "--device", "toaster"): "--device toaster",
        (checkpoint, csv, *COLUMNS, "--batch_size", "0"): "--batch_size 0",
        (checkpoint, csv, *COLUMNS, "--labels", "bad,good"): "--labels names 2 classes",
        (
            checkpoint,
            csv,
            "--environment_column",
            "site",
            "--label_column",
            "text",
        ): "the model tells 3 classes apart",
        (checkpoint, csv, *COLUMNS, "--batch_size", "many"): "--batch_size",
        (checkpoint, tmp_path / "missing.csv", *COLUMNS): "There is no file",
        (checkpoint, empty, *COLUMNS): "has no rows",
        (checkpoint, "punctuated_sst2", "--source", "bundled", "--split", "exam"): "exam",
        (bare, csv, *COLUMNS): "has no tokenizer",
        (headless, csv, *COLUMNS): "no text or image classifier but BertModel",
        (tmp_path / "nowhere", csv, *COLUMNS): "nowhere",
        (csv.parent, csv, *COLUMNS): "is no checkpoint",
    }
    for words, message in wrong.items():
        done = run(*words)
        assert done.exit_code == 2, (words, done.output, done.exception)
        assert message in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
        assert isinstance(done.exception, SystemExit), words


def test_class_names_and_training_environments_travel_with_the_card(reviews, encoder, tmp_path):
    """Others save an adapter without saying what the classes are called; its card says it."""
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = choose_trainable(load_classifier(str(encoder), STARS, mean_pooling=False), "lora")
    rows = tokenized(reviews, tokenizer)
    args = arguments(tmp_path, EnvironmentConfig, environment_column="site")
    seen = rows.filter(lambda row: row["site"] != "oslo")
    trainer = EnvironmentTrainer(model, args, train_dataset=seen, eval_dataset=rows, processing_class=tokenizer)
    trainer.save_model()
    (tmp_path / "class_names.json").unlink()
    options = {"environment_column": "site", "label_column": "stars", "device": "cpu"}
    with pytest.raises(ValueError, match="--labels NAME0,NAME1,NAME2"):
        evaluate_checkpoint(str(tmp_path), reviews, **options)
    told = evaluate_checkpoint(str(tmp_path), reviews, labels=STARS, **options)
    assert [e.unseen for e in told.environments] == [None] * 3
    trainer.create_model_card()
    found = evaluate_checkpoint(str(tmp_path), reviews, **options)
    check(found, trainer.evaluate())
    assert found.labels == STARS
    assert found.overall == told.overall
    assert [e.unseen for e in found.environments] == [False, False, True]
    assert not [note for note in found.notes if "saw none" in note]
    only = evaluate_checkpoint(str(tmp_path), rows.filter(lambda row: row["site"] == "oslo"), **options)
    assert "Training saw none of these environments: nothing here is about those that it saw." in only.notes
    other = reviews.rename_column("site", "year").map(lambda row: {"year": len(row["year"])})
    regrouped = evaluate_checkpoint(str(tmp_path), other, **{**options, "environment_column": "year"})
    assert [e.unseen for e in regrouped.environments] == [None] * 2, "another kind of environment"
    console = Console(file=io.StringIO(), width=80)
    print_evaluation(found, console)
    rows = [text.split()[1:3] for text in console.file.getvalue().splitlines() if " oslo " in text]
    assert rows[0] == ["oslo", "(unseen)"]


@pytest.mark.usefixtures("drawn_pictures")
def test_any_metric_in_its_own_direction(checkpoint, reviews, tmp_path):
    def brier_and_share(prediction):
        shares = torch.tensor(prediction.predictions).softmax(-1).numpy()
        hit = np.eye(3)[prediction.label_ids]
        return {"brier": float(((shares - hit) ** 2).sum(-1).mean()), "sure": float(shares.max(-1).mean())}

    found = evaluate_checkpoint(
        str(checkpoint), reviews, environment_column="site", label_column="stars", compute_metrics=brier_and_share
    )
    values = {e.name: e.metrics["brier"] for e in found.environments}
    assert found.worst_environment == max(values, key=values.get)
    assert found.worst == max(values.values())
    assert found.worst_interval is found.mean_interval is None
    write_evaluation(found, tmp_path)
    assert (tmp_path / "brier.png").is_file()
    assert "accuracy" not in (tmp_path / "table.md").read_text() + (tmp_path / "results.json").read_text()
    assert f"| {values['lima']:.4g} | " in (tmp_path / "table.md").read_text()


def copied(checkpoint, folder):
    return Path(shutil.copytree(checkpoint, folder))


def test_a_model_that_gives_no_numbers_is_refused_with_their_share(checkpoint, reviews, tmp_path):
    folder = copied(checkpoint, tmp_path / "nan")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    word = AutoTokenizer.from_pretrained(folder)(["awful"])["input_ids"][0][1]
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[word] = float("nan")
    model.save_pretrained(folder)
    rows = sum("awful" in text for text in reviews["text"])
    with pytest.raises(ValueError, match=rf"gives NaN or infinity for {rows} of 150 rows \({rows / 150:.1%}\)"):
        evaluate_checkpoint(str(folder), reviews, environment_column="site", label_column="stars")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.safetensors", lambda data: data[:1000], "The weights of .* cannot be read"),
        ("model.safetensors", lambda data: data[: len(data) // 2], "The weights of .* cannot be read"),
        ("tokenizer.json", lambda data: data[: len(data) // 2], "The tokenizer of .* cannot be read"),
        ("tokenizer.json", None, "The tokenizer of .* has no vocabulary"),
        ("config.json", lambda data: data[: len(data) // 2], "config"),
    ],
)
def test_damaged_files_are_refused_in_one_line(file, content, message, checkpoint, csv, tmp_path):
    folder = copied(checkpoint, tmp_path / "damaged")
    data = (folder / file).read_bytes()
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content(data))
    done = run(folder, csv, *COLUMNS)
    assert done.exit_code == (1 if file == "config.json" else 2), (done.output, done.exception)
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.count("Error: ") == 1
    assert "Traceback" not in done.stderr


def test_weights_that_lack_are_not_made_anew(checkpoint, csv, tmp_path):
    folder = copied(checkpoint, tmp_path / "headless")
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "classifier" not in k}, folder / "model.safetensors")
    done = run(folder, csv, *COLUMNS)
    assert done.exit_code == 2
    assert "are not whole, 2 of them lack (classifier.bias)" in done.stderr


def test_an_adapter_that_is_cut_short_is_refused(encoder, csv, tmp_path):
    choose_trainable(load_classifier(str(encoder), STARS, mean_pooling=False), "lora").save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    done = run(tmp_path, csv, *COLUMNS)
    assert done.exit_code == 2, done.exception
    assert "cannot be read" in done.stderr
