import errno
import hashlib
import io
import itertools
import os
import shutil
import signal
from collections import namedtuple

import pytest
from PIL import Image

from hf_metairm.cards.publish_dataset import write_parquet
from hf_metairm.data import ColoredMNIST, PunctuatedSST2

from ..faults import in_a_fork


SMALL = {"examples_per_environment": 100, "test_environments": (0.9,)}


@pytest.mark.parametrize("cls", [ColoredMNIST, PunctuatedSST2])
def test_one_process_and_four_give_the_same_bytes(cls, tmp_path):
    files = []
    for num_proc in (None, 4):
        cache = tmp_path / str(num_proc)
        builder = cls(source="bundled", cache_dir=cache, examples_per_environment=300, test_environments=(0.9,))
        builder.download_and_prepare(num_proc=num_proc)
        assert len(list(cache.rglob("*train*.arrow"))) == (num_proc or 1)
        paths = write_parquet([builder], tmp_path / f"parquet{num_proc}", repo_id="user/name")
        files.append({path.name: path.read_bytes() for path in paths if path.suffix == ".parquet"})
    assert list(files[0]) == list(files[1])
    assert files[0] == files[1]


def test_a_second_preparation_reuses_the_first(tmp_path):
    first = PunctuatedSST2(source="bundled", cache_dir=tmp_path, **SMALL)
    first.download_and_prepare()
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.arrow")}
    second = PunctuatedSST2(source="bundled", cache_dir=tmp_path, **SMALL)
    second.download_and_prepare()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.arrow")} == times
    assert second.as_dataset()["train"]._fingerprint == first.as_dataset()["train"]._fingerprint
    second.download_and_prepare(download_mode="force_redownload")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.arrow")} != times


def test_a_killed_build_leaves_nothing_that_loads_and_the_next_is_whole(tmp_path, bundled):
    finish, pieces = PunctuatedSST2._finish, itertools.count(1)

    def die_in_the_test_split(self, columns):
        if next(pieces) == 40:  # of 48
            os.kill(os.getpid(), signal.SIGKILL)
        return finish(self, columns)

    def build():
        PunctuatedSST2._finish = die_in_the_test_split
        PunctuatedSST2("clean", source="bundled", cache_dir=tmp_path).download_and_prepare()

    assert in_a_fork(build) == -signal.SIGKILL
    left = list(tmp_path.rglob("*.arrow"))
    assert left
    assert all(".incomplete" in str(path) for path in left)
    (left[0].parent / "punctuated_sst2-train-00000-of-00002.arrow").write_bytes(b"left over")
    builder = PunctuatedSST2("clean", source="bundled", cache_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="not built yet"):
        builder.as_dataset()
    builder.download_and_prepare()
    whole = bundled("punctuated_sst2", "clean").as_dataset()
    for split, dataset in builder.as_dataset().items():
        assert dataset.with_format("arrow")[:] == whole[split].with_format("arrow")[:]
    assert sorted(path.name for path in tmp_path.rglob("*.arrow")) == [
        f"punctuated_sst2-{split}.arrow" for split in ("test", "train", "validation")
    ]


def test_a_build_that_lost_a_file_is_made_anew(tmp_path):
    builder = PunctuatedSST2(source="bundled", cache_dir=tmp_path, **SMALL)
    builder.download_and_prepare()
    next(tmp_path.rglob("*validation*.arrow")).unlink()
    again = PunctuatedSST2(source="bundled", cache_dir=tmp_path, **SMALL)
    again.download_and_prepare()
    assert again.as_dataset("validation").num_rows == 1000


def test_too_little_disk_space_is_said_before_the_build(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(OSError, match=r"may need 21 MB, but .* has 1 MB free; free some or give another cache_dir"):
        ColoredMNIST(source="bundled", cache_dir=tmp_path).download_and_prepare()


def test_a_disk_that_fills_up_is_said_in_one_sentence(tmp_path, monkeypatch):
    def full(self, columns):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(PunctuatedSST2, "_finish", full)
    builder = PunctuatedSST2("clean", source="bundled", cache_dir=tmp_path)
    with pytest.raises(OSError, match=r"No disk space left in .*; free some or give another cache_dir"):
        builder.download_and_prepare()
    assert not list(tmp_path.rglob("*.arrow"))


def test_streaming_from_the_builder_gives_the_same_rows(bundled):
    builder = bundled("punctuated_sst2", "clean")
    streamed = builder.as_streaming_dataset(split="validation")
    assert list(streamed) == list(builder.as_dataset("validation"))


def _digest(dataset):
    digest = hashlib.blake2b(digest_size=16)
    for row in dataset.with_format("arrow")[:].to_pylist():
        if "image" in row:  # its pixels: the file around them is Pillow's
            with Image.open(io.BytesIO(row["image"]["bytes"])) as image:
                row["image"] = (image.mode, image.size, image.tobytes())
        digest.update(repr(row).encode())
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("title", "config", "digest"),
    [
        ("colored_mnist", "k10", "f78ab6defec53bc4216a11f99587e4e7"),
        ("punctuated_sst2", "noise_25", "f6cdbb89b8be7dd445eab6ba6565bc2c"),
    ],
)
def test_rows_are_the_same_on_every_platform(bundled, title, config, digest):
    # Written down once. If it changes on purpose, `VERSION` in config.py is to be raised.
    assert _digest(bundled(title, config).as_dataset("validation")) == digest
