import json

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard
from PIL import Image
from typer.testing import CliRunner

from hf_metairm.cards.dataset_card import dataset_card
from hf_metairm.cards.publish_dataset import push_to_hub, write_parquet
from hf_metairm.data import PunctuatedSST2, image_tensors

from .test_inspection import app  # noqa: F401  (a fixture)


pytestmark = pytest.mark.usefixtures("drawn_pictures")


@pytest.fixture(scope="module")
def digits(bundled):
    return [bundled("colored_mnist", "k10"), bundled("colored_mnist", "two_spurious")]


@pytest.fixture(scope="module")
def sentences(bundled):
    return [bundled("punctuated_sst2", "vanilla"), bundled("punctuated_sst2", "noise_25")]


def _equal(left, right):
    return left.features == right.features and left.with_format("arrow")[:] == right.with_format("arrow")[:]


def test_a_folder_loads_as_the_hub_would(sentences, tmp_path):
    write_parquet(sentences, tmp_path / "out", repo_id="user/punctuated")
    for builder in sentences:
        loaded = datasets.load_dataset(str(tmp_path / "out"), builder.config_id, cache_dir=str(tmp_path / "cache"))
        assert list(loaded) == ["train", "validation", "test"]
        assert all(_equal(loaded[split], builder.as_dataset(split)) for split in loaded)
    default = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert _equal(default["train"], sentences[1].as_dataset("train"))  # the dataset's own default, given second
    assert [path.name for path in tmp_path.glob("*incomplete*")] == []


def test_a_folder_is_replaced_when_the_new_one_is_whole(sentences, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_parquet(sentences[:1], out)
    (out / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def fail(*args, **kwargs):
        raise OSError("no disk")

    with monkeypatch.context() as patch:
        patch.setattr("hf_metairm.cards.publish_dataset.draw_samples", fail)
        with pytest.raises(OSError, match="no disk"):
            write_parquet(sentences, out)
    assert {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    write_parquet(sentences, out)
    assert (out / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["noise_25", "vanilla"]
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".incomplete")] == []


def test_the_picture_shows_every_kind_of_environment(digits, sentences, tmp_path):
    for number, builders in enumerate((digits, sentences)):
        write_parquet(builders, tmp_path / str(number))
        with Image.open(tmp_path / str(number) / "samples.png") as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert pixels.shape[0] > 300
        assert pixels.std() > 10


def test_card_of_the_digits(digits):
    card = dataset_card(digits, "user/colored")
    data = yaml.safe_load(card.content.split("---")[1])
    assert data["license"] == "cc-by-sa-3.0"
    assert [config["config_name"] for config in data["configs"]] == [b.config_id for b in digits]
    assert [config.get("default") for config in data["configs"]] == [True, None]
    assert data["dataset_info"][0]["splits"][0]["num_examples"] == 7000
    assert "from: **10,000 of MNIST's 70,000 digits**" in card.text
    assert 'load_dataset("user/colored"' in card.text
    assert "$" not in card.text.replace("\\$", "")
    # The figures in the card are those of the rows.
    train = digits[1].as_dataset("train").to_pandas()
    rows = train[train.environment == "p=0.2"]
    agreement = (rows.patch == rows.label).mean()
    assert f"{agreement:.4f} ± " in card.text


def test_card_of_the_sentences_does_not_call_them_sst2(sentences):
    card = dataset_card(sentences, "user/punctuated")
    assert card.data.pretty_name == "Punctuated movie reviews"
    assert card.data.license == "mit"
    assert card.text.count("SST-2") == card.text.count("not SST-2")


def test_card_of_other_sentences_claims_nothing(tmp_path):
    rows = [f"sentence number {i} is here .\t{i % 2}" for i in range(200)]
    (tmp_path / "mine.tsv").write_text("\n".join(["sentence\tlabel", *rows]), encoding="utf-8")
    builder = PunctuatedSST2("clean", source=tmp_path, cache_dir=tmp_path / "cache")
    builder.download_and_prepare()
    card = dataset_card([builder], "user/mine")
    assert card.data.pretty_name == "Punctuated sentences"
    assert card.data.license == "unknown"
    assert "SST-2" not in card.text
    assert "The sentences are those of the folder's mine.tsv" in card.text


def test_different_datasets_do_not_share_a_repository(digits, sentences, tmp_path):
    with pytest.raises(ValueError, match="One repository holds prepared configs of one dataset from one source"):
        write_parquet([digits[0], sentences[0]], tmp_path)
    with pytest.raises(ValueError, match="One config stands twice"):
        write_parquet([digits[0], digits[0]], tmp_path)
    assert not list(tmp_path.iterdir())


def test_parquet_is_compressed_and_in_groups(digits, tmp_path):
    paths = write_parquet(digits[:1], tmp_path)
    train = next(path for path in paths if path.name.startswith("train"))
    metadata = pq.ParquetFile(train).metadata
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert train.stat().st_size < 7000 * 250  # stored pixels alone are 588 bytes a row
    assert json.loads(metadata.metadata[b"huggingface"])["info"]["features"]["image"] == {"_type": "Image"}


def test_pushed_datasets_load_and_stream_as_they_were_built(digits, sentences, local_hub, tmp_path):
    for builders, name in ((digits, "colored_mnist"), (sentences, "punctuated")):
        repo_id = f"{local_hub.user}/{name}"
        assert "/commit/" in push_to_hub(builders, repo_id)
        card = DatasetCard.load(repo_id)
        card.validate(repo_type="dataset")
        for builder in builders:
            loaded = datasets.load_dataset(repo_id, builder.config_id, cache_dir=str(tmp_path))
            for split, dataset in builder.as_dataset().items():
                assert _equal(loaded[split], dataset)
            streamed = datasets.load_dataset(repo_id, builder.config_id, split="validation", streaming=True)
            rows = builder.as_dataset("validation")
            assert streamed.features == rows.features
            assert list(streamed.take(50)) == list(rows.select(range(50)))
            assert sum(1 for _ in streamed.select_columns("label")) == len(rows)
    pushed = datasets.load_dataset(f"{local_hub.user}/colored_mnist", "k10", split="train", cache_dir=str(tmp_path))
    assert (image_tensors(pushed)["pixel_values"] == digits[0].as_tensors("train")["pixel_values"]).all()


def test_push_by_command(local_hub, tmp_path, app):  # noqa: F811
    repo_id = f"{local_hub.user}/sentences"
    arguments = ["build-dataset", "punctuated_sst2", "--source", "bundled", "--cache_dir", str(tmp_path / "cache")]
    arguments += ["--output", str(tmp_path / "out"), "--push_to_hub", repo_id]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert f"{repo_id}/commit/" in result.output
    loaded = datasets.load_dataset(repo_id, split="test", cache_dir=str(tmp_path / "loaded"))
    assert loaded.num_rows == 13_500
