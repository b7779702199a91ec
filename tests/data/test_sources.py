import gzip
import logging
import shutil
import time
from dataclasses import replace

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_metairm.data import ColoredMNIST, PunctuatedSST2, digits, sources
from hf_metairm.data.coloring import paint
from hf_metairm.data.digits import find_idx_files, roles_from_files
from hf_metairm.data.images import encode_pngs
from hf_metairm.data.sources import BUNDLED


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """A Hub that nothing answers for, and no files of it in the cache."""
    monkeypatch.setattr(sources.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(sources.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(sources, "try_to_load_from_cache", lambda *args, **kwargs: None)
    sources.why_unreachable.cache_clear()
    yield
    sources.why_unreachable.cache_clear()


def _write_idx(folder, name, values):
    header = bytes([0, 0, 8, values.ndim]) + b"".join(int(size).to_bytes(4, "big") for size in values.shape)
    (folder / name).write_bytes(gzip.compress(header + values.tobytes()))


@pytest.fixture
def idx_folder(tmp_path, monkeypatch):
    """The four files of a database of 600 + 100 digits, and a protocol that trains on the first 500."""
    monkeypatch.setattr(digits, "NUM_FILE", 600)
    monkeypatch.setattr(digits, "NUM_TRAIN", 500)
    folder = tmp_path / "idx"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, n in (("train", 600), ("t10k", 100)):
        _write_idx(folder, f"{name}-images-idx3-ubyte.gz", rng.integers(0, 256, (n, 28, 28), dtype=np.uint8))
        _write_idx(folder, f"{name}-labels-idx1-ubyte.gz", rng.integers(0, 10, n, dtype=np.uint8))
    return folder


def test_auto_falls_back_to_the_bundled_data_in_two_seconds_and_says_so(no_hub, tmp_path, caplog):
    builder = PunctuatedSST2(cache_dir=tmp_path, examples_per_environment=10, test_environments=(0.9,))
    start = time.monotonic()
    with caplog.at_level(logging.INFO, logger="hf_metairm"):
        builder.download_and_prepare()
    assert time.monotonic() - start < 4  # two seconds to ask, and the build
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "stanfordnlp/sst2 cannot be fetched from the Hub" in messages[0]
    assert (
        "building from the bundled movie-review sentences of Hutto & Gilbert (2014), which are not SST-2"
        in messages[0]
    )
    assert builder.data_source.kind == "bundled"


def test_auto_offline_asks_nobody(no_hub, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(sources.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sources, "get_session", lambda: pytest.fail("the network was used"))
    builder = ColoredMNIST("binary_quarter", cache_dir=tmp_path, test_environments=(0.9,))
    builder.download_and_prepare()
    assert "HF_HUB_OFFLINE is set" in caplog.text
    assert builder.data_source.kind == "bundled"


def test_hub_alone_is_an_error_when_it_cannot_be_reached(no_hub, tmp_path):
    builder = ColoredMNIST(source="hub", cache_dir=tmp_path)
    with pytest.raises(ConnectionError, match=r"ylecun/mnist cannot be fetched from the Hub .*; connect to"):
        builder.download_and_prepare()
    assert not list(tmp_path.rglob("*.arrow"))


def test_a_silent_host_is_given_up(monkeypatch, no_hub):
    class Slow:
        def head(self, *args, **kwargs):
            time.sleep(30)

    monkeypatch.setattr(sources, "get_session", Slow)
    monkeypatch.setattr(sources, "PROBE_SECONDS", 0.2)
    start = time.monotonic()
    assert "did not answer" in sources.why_unreachable("http://example.invalid")
    assert time.monotonic() - start < 2


def test_hub_files_in_the_local_cache_need_no_network(no_hub, monkeypatch, tmp_path):
    for name, rows in (("train", 200), ("validation", 30)):
        table = pa.table({"sentence": [f"{name} row {i} ." for i in range(rows)], "label": [0, 1] * (rows // 2)})
        pq.write_table(table, tmp_path / f"{name}-00000-of-00001.parquet")
    monkeypatch.setattr(
        sources, "try_to_load_from_cache", lambda repo, path, repo_type: str(tmp_path / path.split("/")[-1])
    )
    monkeypatch.setattr(sources.constants, "HF_HUB_OFFLINE", True)
    builder = PunctuatedSST2(cache_dir=tmp_path / "cache")
    builder.download_and_prepare()
    assert builder.data_source.kind == "hub"
    assert "SST-2 (Socher et al., 2013) from the Hub's stanfordnlp/sst2" in builder.info.description
    assert builder.as_dataset("test").num_rows == 270
    builder.download_and_prepare(download_mode="force_redownload")
    builder.download_and_prepare(str(tmp_path / "elsewhere"))
    assert builder.as_dataset("test").num_rows == 270
    assert list((tmp_path / "elsewhere").glob("*.arrow"))
    cached = PunctuatedSST2(cache_dir=tmp_path / "cache")
    cached.download_and_prepare()
    assert list(cached.as_streaming_dataset("test")) == list(builder.as_dataset("test"))
    # Once built, the Hub's files are not even looked for.
    monkeypatch.setattr(sources, "try_to_load_from_cache", lambda *args, **kwargs: pytest.fail("looked for files"))
    again = PunctuatedSST2(cache_dir=tmp_path / "cache")
    again.download_and_prepare()
    assert again.as_dataset("test").num_rows == 270


def test_log_says_which_source_was_used(tmp_path, caplog):
    builder = ColoredMNIST(source="bundled", cache_dir=tmp_path, test_environments=(0.9,), train_fraction=0.1)
    with caplog.at_level(logging.INFO, logger="hf_metairm"):
        builder.download_and_prepare()
    assert [record.getMessage() for record in caplog.records] == [
        f"colored_mnist/{builder.config_id}: source is 10,000 of MNIST's 70,000 digits (bundled)."
    ]


def test_idx_and_parquet_folders_give_the_same_rows(idx_folder, tmp_path):
    fields = {"examples_per_environment": 250, "test_environments": (0.9,), "cache_dir": tmp_path / "cache"}
    from_idx = ColoredMNIST(source=idx_folder, **fields)
    from_idx.download_and_prepare()
    roles = roles_from_files(find_idx_files(idx_folder))
    parquet = tmp_path / "parquet"
    parquet.mkdir()
    for name, parts in (("train", ("train", "test")), ("test", ("validation",))):
        images = np.concatenate([roles[part].images for part in parts])
        labels = np.concatenate([roles[part].digits for part in parts])
        files = [{"bytes": data, "path": None} for data in encode_pngs(paint(images, None, 2))]
        pq.write_table(pa.table({"image": files, "label": labels}), parquet / f"{name}-00000-of-00001.parquet")
    from_parquet = ColoredMNIST(source=parquet, **fields)
    from_parquet.download_and_prepare()
    assert from_idx.cache_dir != from_parquet.cache_dir
    for split, dataset in from_idx.as_dataset().items():
        assert dataset.with_format("arrow")[:] == from_parquet.as_dataset(split).with_format("arrow")[:]
    assert from_idx.as_dataset()["validation"].num_rows == 100
    assert from_idx.as_dataset()["test"].num_rows == 100


@pytest.mark.parametrize(
    ("damage", "error", "sentence"),
    [
        (
            lambda path: path.unlink(),
            FileNotFoundError,
            "only 3 of MNIST's four IDX files: t10k-images, t10k",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), ValueError, r"is damaged \(.*\); fetch it again"),
        (lambda path: path.write_bytes(b"<html>not found</html>"), ValueError, "is not an IDX file of unsigned bytes"),
        (
            lambda path: path.write_bytes(gzip.decompress(path.read_bytes())[:-5]),
            ValueError,
            "its header announces 600 bytes, it holds 595; fetch it again",
        ),
        (
            lambda path: _write_idx(path.parent, path.name, np.full(600, 11, np.uint8)),
            ValueError,
            "do not fit together",
        ),
        (lambda path: _write_idx(path.parent, path.name, np.zeros(9, np.uint8)), ValueError, "do not fit together"),
    ],
)
def test_damaged_digits_are_refused_with_one_sentence(idx_folder, tmp_path, damage, error, sentence):
    folder = shutil.copytree(idx_folder, tmp_path / "copy")
    damage(folder / "train-labels-idx1-ubyte.gz")
    with pytest.raises(error, match=sentence):
        ColoredMNIST(source=folder, cache_dir=tmp_path / "cache").download_and_prepare()


def test_mnist_is_told_from_its_likes(idx_folder, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(idx_folder, both / "FashionMNIST" / "raw")
    only = ColoredMNIST(source=both, cache_dir=tmp_path / "cache", examples_per_environment=100)
    only.download_and_prepare()  # one set of such files: what they hold decides
    shutil.copytree(idx_folder, both / "MNIST" / "raw")
    assert {path.parent.parent.name for path in find_idx_files(both).values()} == {"MNIST"}
    shutil.copytree(idx_folder, both / "mnist")
    with pytest.raises(ValueError, match=r"in several folders \(.*\): name the one of mnist"):
        find_idx_files(both)
    _write_idx(idx_folder, "train-labels-idx1-ubyte.gz", (np.arange(600) % 10).astype(np.uint8))
    with pytest.raises(ValueError, match="as many rows of each class as of any other, as Fashion-MNIST"):
        ColoredMNIST(source=idx_folder, cache_dir=tmp_path / "cache").download_and_prepare()


def _sentences(path, names, rows=60):
    path.parent.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    texts = [f"{path.stem} row {row}" for row in range(rows)]
    datasets.Dataset.from_dict({"sentence": texts, "label": [0, 1] * (rows // 2)}, features).to_parquet(path)


def test_sst2_is_told_from_other_tasks_of_glue(tmp_path):
    for task, names in (("sst2", ["negative", "positive"]), ("cola", ["unacceptable", "acceptable"])):
        for role in ("train", "validation"):
            _sentences(tmp_path / "glue" / task / f"{role}-00000-of-00001.parquet", names)
    both = PunctuatedSST2(source=tmp_path / "glue", cache_dir=tmp_path / "cache")
    both.download_and_prepare()
    assert {path.parent.name for path in both.data_source.files.values()} == {"sst2"}
    with pytest.raises(ValueError, match="has the classes unacceptable, acceptable, where SST-2 has negative"):
        PunctuatedSST2(source=tmp_path / "glue" / "cola", cache_dir=tmp_path / "cache").download_and_prepare()
    shutil.rmtree(tmp_path / "glue" / "sst2")
    for role in ("train", "dev"):
        (tmp_path / "glue" / f"{role}.tsv").write_text("sentence1\tsentence2\tlabel\na\tb\t0\n")
    shutil.rmtree(tmp_path / "glue" / "cola")
    with pytest.raises(ValueError, match="neither a TSV file with the header 'sentence<TAB>label'"):
        PunctuatedSST2(source=tmp_path / "glue", cache_dir=tmp_path / "cache").download_and_prepare()


def test_one_of_several_pieces_is_not_taken_for_the_whole(tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"):
        _sentences(tmp_path / f"{name}.parquet", ["negative", "positive"])
    with pytest.raises(ValueError, match=r"several files for train \(train-00000.*, train-00001.*\): join them"):
        PunctuatedSST2(source=tmp_path, cache_dir=tmp_path / "cache").download_and_prepare()


def test_missing_folders_are_refused_with_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="is neither 'auto', 'hub' nor 'bundled', and no folder of that name"):
        ColoredMNIST(source=tmp_path / "nowhere").download_and_prepare()
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no MNIST data; it should hold MNIST's four IDX files"):
        ColoredMNIST(source=tmp_path / "empty").download_and_prepare()
    with pytest.raises(FileNotFoundError, match="has no SST-2 data; it should hold SST-2's train"):
        PunctuatedSST2(source=tmp_path / "empty").download_and_prepare()
    with pytest.raises(FileNotFoundError, match=r"/clean is not built yet; call \.download_and_prepare"):
        PunctuatedSST2("clean", cache_dir=tmp_path).as_dataset()


def test_damaged_parquet_is_refused_with_one_sentence(tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}-00000-of-00001.parquet").write_bytes((BUNDLED / "mnist.parquet").read_bytes()[:5000])
    with pytest.raises(ValueError, match="is damaged or not a Parquet file"):
        ColoredMNIST(source=tmp_path, cache_dir=tmp_path / "cache").download_and_prepare()
    for name in ("train", "test"):
        shutil.copy(BUNDLED / "mnist.parquet", tmp_path / f"{name}-00000-of-00001.parquet")
    with pytest.raises(ValueError, match="has the columns pixels, digit, role, index, but image, label is needed"):
        ColoredMNIST(source=tmp_path, cache_dir=tmp_path / "cache").download_and_prepare()


def test_the_hub_comes_first_and_is_really_fetched(local_hub, monkeypatch, tmp_path, caplog):
    sources.why_unreachable.cache_clear()
    spec = replace(PunctuatedSST2.SOURCES, hub_repo=f"{local_hub.user}/sst2")
    monkeypatch.setattr(PunctuatedSST2, "SOURCES", spec)
    builder = PunctuatedSST2(source="hub", cache_dir=tmp_path)
    with pytest.raises(ConnectionError, match=f"{local_hub.user}/sst2 cannot be fetched from the Hub"):
        builder.download_and_prepare()
    api = local_hub.api()
    api.create_repo(spec.hub_repo, repo_type="dataset")
    for name, rows in (("train", 200), ("validation", 30)):
        table = pa.table({"sentence": [f"{name} row {i} ." for i in range(rows)], "label": [0, 1] * (rows // 2)})
        pq.write_table(table, tmp_path / "file.parquet")
        api.upload_file(
            path_or_fileobj=tmp_path / "file.parquet",
            path_in_repo=spec.hub_files[name],
            repo_id=spec.hub_repo,
            repo_type="dataset",
        )
    builder = PunctuatedSST2(cache_dir=tmp_path)
    with caplog.at_level(logging.INFO, logger="hf_metairm"):
        builder.download_and_prepare()
    assert builder.data_source.kind == "hub"
    assert builder.as_dataset("test").num_rows == 270
    assert [record.getMessage() for record in caplog.records] == [
        "punctuated_sst2/noise_25: source is SST-2 (Socher et al., 2013) from the Hub's stanfordnlp/sst2 (hub)."
    ]
    local_hub.stop()
    again = PunctuatedSST2("clean", cache_dir=tmp_path)  # another config: the files are in the client's cache
    again.download_and_prepare()
    assert again.data_source.kind == "hub"
    sources.why_unreachable.cache_clear()
