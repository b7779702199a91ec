"""Reading the digits of MNIST: from IDX files, from the Hub's Parquet files, or from those the package carries.

Whatever the format, the digits come in the three roles of the protocol of Arjovsky et al. (2019): the first 50,000
training digits are trained on, the last 10,000 of the training file are the test digits; the test file, which that
protocol leaves unused, gives the validation digits.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .files import read_parquet
from .images import decode_images
from .sources import files_together


NUM_TRAIN, NUM_FILE = 50_000, 60_000
_IDX_NAMES = ("train-images", "train-labels", "t10k-images", "t10k-labels")


@dataclass(frozen=True)
class Digits:
    """Digits of one role.

    Args:
        images (`np.ndarray`): uint8 of shape (n, 28, 28), 0 is background.
        digits (`np.ndarray`): int64 of shape (n,), 0 … 9.
        index (`np.ndarray`): int64 of shape (n,): the digit's place in MNIST; its test file counts from 60,000.
    """

    images: np.ndarray
    digits: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.digits)

    def take(self, rows: np.ndarray) -> Digits:
        """The digits of these rows, in this order."""
        return Digits(self.images[rows], self.digits[rows], self.index[rows])


def find_idx_files(folder: Path) -> dict[str, Path]:
    """Find MNIST's four IDX files in `folder` or below it; a name that is missing is missing in the answer too.

    Raises:
        ValueError: several folders hold such files, and it cannot be told which is MNIST.
    """
    return files_together(folder, {name: f"{name}*idx*ubyte*" for name in _IDX_NAMES}, "mnist")


def read_idx(path: Path) -> np.ndarray:
    """Read one IDX file of unsigned bytes, gzipped or not.

    Raises:
        `ValueError`: the file is cut short, damaged or something else than IDX.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}); fetch it again.") from error
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"{path} is not an IDX file of unsigned bytes; give the folder with MNIST's original files.")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", count=data[3], offset=4))
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if len(values) != math.prod(shape):
        raise ValueError(
            f"{path} is damaged: its header announces {math.prod(shape):,} bytes, it holds {len(values):,}; "
            "fetch it again."
        )
    return values.reshape(shape)


def roles_from_files(files: dict[str, Path]) -> dict[str, Digits]:
    """Read the digits of all three roles.

    Args:
        files (`dict[str, Path]`):
            Either the four IDX files under `"train-images"`, `"train-labels"`, `"t10k-images"`, `"t10k-labels"`; or
            Parquet files under `"train"` and `"test"` (columns `image`, `label`); or one under `"bundled"`.

    Returns:
        `dict[str, Digits]`: `"train"`, `"validation"` and `"test"`.

    Raises:
        `ValueError`: a file is damaged, or is not what its name says.
    """
    if "bundled" in files:
        return _roles_from_bundle(files["bundled"])
    if "train-images" in files:
        train = read_idx(files["train-images"]), read_idx(files["train-labels"])
        test = read_idx(files["t10k-images"]), read_idx(files["t10k-labels"])
        _check(*train, files["train-images"])
        _check(*test, files["t10k-images"])
    else:
        train, test = _read_parquet(files["train"]), _read_parquet(files["test"])
    if len(train[0]) != NUM_FILE:
        raise ValueError(
            f"The training file has {len(train[0]):,} digits, but the protocol needs MNIST's {NUM_FILE:,}; "
            "give the full MNIST, or source='bundled' for the small copy in this package."
        )
    if len(set(np.bincount(train[1], minlength=10))) == 1:
        raise ValueError(
            "The training file has as many rows of each class as of any other, as Fashion-MNIST and KMNIST have; "
            "MNIST has not: name MNIST's own folder."
        )
    return {
        "train": _digits(train[0][:NUM_TRAIN], train[1][:NUM_TRAIN], 0),
        "validation": _digits(*test, NUM_FILE),
        "test": _digits(train[0][NUM_TRAIN:], train[1][NUM_TRAIN:], NUM_TRAIN),
    }


def _digits(images: np.ndarray, labels: np.ndarray, start: int) -> Digits:
    return Digits(images, labels.astype(np.int64), np.arange(start, start + len(labels)))


def _check(images: np.ndarray, labels: np.ndarray, path: Path) -> None:
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or labels.max(initial=0) > 9:
        raise ValueError(
            f"{path} and its labels do not fit together: images {images.shape}, labels {labels.shape}, expected "
            "(n, 28, 28) and (n,) with digits 0 to 9; fetch them again."
        )


def _roles_from_bundle(path: Path) -> dict[str, Digits]:
    table = read_parquet(path, ["pixels", "digit", "role", "index"])
    images = np.frombuffer(b"".join(table["pixels"].to_pylist()), np.uint8).reshape(-1, 28, 28)
    digits, index = table["digit"].to_numpy().astype(np.int64), table["index"].to_numpy().astype(np.int64)
    role = np.array(table["role"].to_pylist())
    return {
        name: Digits(images[role == name], digits[role == name], index[role == name])
        for name in ("train", "validation", "test")
    }


def _read_parquet(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = read_parquet(path, ["image", "label"])
    try:
        images = decode_images(table["image"])[..., 0]  # grey pictures, so one of three equal channels
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} holds images that cannot be read as 28 × 28 digits ({error}).") from error
    labels = table["label"].to_numpy().astype(np.int64)
    _check(images, labels, path)
    return images, labels
