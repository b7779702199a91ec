"""Colored MNIST: digits whose colour follows the label, more or less reliably from environment to environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np

from ..builder import EnvironmentDatasetBuilder
from ..coloring import MOST_PATCHES, add_patch, paint, shrink
from ..config import META_IRM_PAPER, EnvironmentDatasetConfig
from ..description import DatasetDescription
from ..digits import Digits, find_idx_files, roles_from_files
from ..draws import flips
from ..images import encode_pngs
from ..registry import DATASETS
from ..sources import SourceSpec, files_together
from ..tensors import TensorRows, image_tensors


@dataclass
class ColoredMNISTConfig(EnvironmentDatasetConfig):
    """Configuration of [`ColoredMNIST`], beside the fields of `EnvironmentDatasetConfig`.

    Args:
        num_classes (`int`, *optional*, defaults to `2`):
            k, 2 … 10: classes, colours and channels.
        image_size (`int`, *optional*, defaults to `14`):
            14 (each second pixel) or 28.
        colored (`bool`, *optional*, defaults to `True`):
            Whether digits are coloured. Without it there is one channel and no column `color`; labels and
            environments are those of the coloured config with the same seed and noise.
        patched (`bool`, *optional*, defaults to `False`):
            Whether a patch in a corner follows the label beside the colour, flipped independently of it with the
            same probability p_e; for at most four classes.
        patch_crossed (`bool`, *optional*, defaults to `False`):
            Whether the training environments' probabilities are dealt to the patch in reverse order: where the
            colour follows the label best the patch follows it worst, so that following both cues has the same risk
            in every training environment. Test environments have the same p for both.
    """

    num_classes: int = 2
    image_size: int = 14
    colored: bool = True
    patched: bool = False
    patch_crossed: bool = False

    def validate(self) -> None:
        """Raise `ValueError` with one sentence for the first field whose value makes no sense."""
        super().validate()
        if isinstance(self.num_classes, bool) or self.num_classes not in range(2, 11):
            raise ValueError(f"num_classes={self.num_classes!r} does not fit ten digits; give 2 to 10.")
        if self.image_size not in (14, 28):
            raise ValueError(f"image_size must be 14 or 28, not {self.image_size!r}.")
        if self.patched and self.num_classes > MOST_PATCHES:
            raise ValueError(f"patched=True needs a corner for each class: num_classes can be {MOST_PATCHES} at most.")
        if self.patch_crossed and not self.patched:
            raise ValueError("patch_crossed=True says how a patch is drawn, but there is none: set patched=True.")


def classes_of_digits(k: int) -> np.ndarray:
    """The class of each digit 0 … 9: digit < 5 for k = 2, else ⌊digit · k / 10⌋ (for k = 3: 0–3, 4–6, 7–9)."""
    digits = np.arange(10)
    return (digits < 5).astype(np.int64) if k == 2 else digits * k // 10


def find_files(folder: Path) -> tuple[dict[str, Path], str, str] | None:
    """Find MNIST's IDX or Parquet files in `folder` or below it."""
    idx = find_idx_files(folder)
    if len(idx) == 4:
        return idx, "MNIST from the folder's IDX files", "CC BY-SA 3.0"
    if idx:
        raise FileNotFoundError(f"{folder} has only {len(idx)} of MNIST's four IDX files: {', '.join(sorted(idx))}.")
    parquet = files_together(folder, {role: f"{role}-*.parquet" for role in ("train", "test")}, "mnist")
    return (parquet, "MNIST from the folder's Parquet files", "CC BY-SA 3.0") if len(parquet) == 2 else None


@DATASETS.register
class ColoredMNIST(EnvironmentDatasetBuilder):
    """Digits whose colour follows the label with probability 1 − p_e (Arjovsky et al., 2019; Bae et al., 2021).

    The clean label is the digit's class; the label y is the clean label, moved on by one class (modulo k) with
    probability η; the colour is y, moved on by one with probability p_e. The first 50,000 training digits of MNIST
    are shuffled and go alternately to the training environments; the last 10,000 are the test digits, each once in
    every test environment with the same label and a colour drawn anew; `validation` is made as `train` is, from
    MNIST's own test file, which that protocol leaves unused.

    Args:
        config_name (`str`, *optional*, defaults to `"binary"`):
            `"binary"` (label: digit < 5), `"binary_half"` and `"binary_quarter"` (12,500 and 6,250 digits per
            environment instead of 25,000), `"binary_28x28"`, `"k3"`, `"k5"`, `"k10"` (more classes),
            `"two_spurious"` (a patch beside the colour) or `"grayscale"` (no colour).
        source (`str` or `Path`, *optional*, defaults to `"auto"`):
            `"hub"` (`ylecun/mnist`), `"bundled"` (10,000 digits: 7,000 to train, 1,000 to validate and 2,000 to test
            on), a folder (MNIST as IDX or Parquet), or `"auto"`: the Hub, and the bundled digits where it cannot be
            reached.
        cache_dir (`str` or `Path`, *optional*):
            Where builds are kept; the cache of `datasets` by default.
        **config_kwargs:
            Fields of [`ColoredMNISTConfig`] for a custom config, such as `environments=(0.3, 0.1), num_classes=4`.

    Columns: `image` (RGB), `label`, `environment` (such as `"p=0.2"`), `digit`, `clean_label`, `color` (0 … k − 1),
    `patch` (0 … k − 1, `two_spurious` only) and `index` (the digit's place in MNIST; its test file counts from
    60,000). `as_tensors` gives the k channels.

    Example:

    ```py
    >>> builder = ColoredMNIST("k10")
    >>> builder.download_and_prepare()
    >>> rows = builder.as_tensors("train")
    >>> rows["pixel_values"].shape
    torch.Size([50000, 10, 14, 14])
    ```
    """

    TITLE = "colored_mnist"
    SUMMARY = "Digits whose color follows the label with probability 1 - p in environment p"
    ROWS = "digits"
    CUES: ClassVar[dict[str, Sequence[str] | None]] = {"color": None, "patch": None}
    BUILDER_CONFIG_CLASS = ColoredMNISTConfig
    BUILDER_CONFIGS: ClassVar[list[ColoredMNISTConfig]] = [
        ColoredMNISTConfig(name="binary", description="Two classes, two colours."),
        ColoredMNISTConfig(
            name="binary_half", description="As binary, with half the training digits.", train_fraction=0.5
        ),
        ColoredMNISTConfig(
            name="binary_quarter", description="As binary, with a quarter of the training digits.", train_fraction=0.25
        ),
        ColoredMNISTConfig(name="binary_28x28", description="As binary, with all of MNIST's pixels.", image_size=28),
        ColoredMNISTConfig(name="k3", description="Three classes (0-3, 4-6, 7-9), three colours.", num_classes=3),
        ColoredMNISTConfig(name="k5", description="Five classes of two digits, five colours.", num_classes=5),
        ColoredMNISTConfig(name="k10", description="Ten classes, ten colours.", num_classes=10),
        ColoredMNISTConfig(
            name="two_spurious",
            description="Two classes; a colour and a patch follow the label independently.",
            patched=True,
        ),
        ColoredMNISTConfig(name="grayscale", description="As binary, without colour.", colored=False),
    ]
    DEFAULT_CONFIG_NAME = "binary"
    SOURCES = SourceSpec(
        dataset="MNIST",
        hub_repo="ylecun/mnist",
        hub_files={
            "train": "mnist/train-00000-of-00001.parquet",
            "test": "mnist/test-00000-of-00001.parquet",
        },
        hub=("MNIST from the Hub's ylecun/mnist", "MIT (as its card states)"),
        bundled_file="mnist.parquet",
        bundled=("10,000 of MNIST's 70,000 digits", "CC BY-SA 3.0"),
        find=find_files,
        expected="MNIST's four IDX files (train-images-idx3-ubyte.gz and so on) or train-*.parquet and test-*.parquet",
    )
    CITATION = (
        """@article{arjovsky2019invariant,
  title={Invariant Risk Minimization},
  author={Arjovsky, Martin and Bottou, L{\\'e}on and Gulrajani, Ishaan and Lopez-Paz, David},
  journal={arXiv preprint arXiv:1907.02893},
  year={2019}
}
"""
        + META_IRM_PAPER
    )
    config: ColoredMNISTConfig

    @property
    def BYTES_PER_ROW(self) -> int:  # type: ignore[override]  # noqa: N802  # It is a constant elsewhere.
        """Bytes of one row on disk: the stored pixels and about 150 for the rest."""
        return 3 * self.config.image_size**2 + 150

    @property
    def num_channels(self) -> int:
        """Channels of `pixel_values`: one per class, or one without colours."""
        return self.config.num_classes if self.config.colored else 1

    def as_tensors(
        self, split: str, *, environments: Sequence[str] | None = None, columns: Sequence[str] = ()
    ) -> TensorRows:
        """Open a split as tensors that a Trainer takes as its dataset.

        Args:
            split (`str`):
                `"train"`, `"validation"` or `"test"`.
            environments (`Sequence[str]`, *optional*):
                Only rows of these environments, such as `["p=0.9"]`.
            columns (`Sequence[str]`, *optional*):
                Further columns to keep, such as `"digit"`.

        Returns:
            [`TensorRows`] with `pixel_values` (float32 in [0, 1], shape (n, channels, size, size)), `labels` (int64)
            and `environment` (strings). A row takes 4 · channels · size² bytes: 78 MB for `binary`'s training rows,
            700 MB for all nine test environments of `k10`, so name those that are needed.

        Raises:
            `ValueError`: no such environment in this split.
        """
        return image_tensors(self.as_dataset(split), environments=environments, columns=columns)

    def describe(self) -> DatasetDescription:
        """What the card says of this dataset."""
        return DatasetDescription(
            title="Colored MNIST",
            task="image-classification",
            summary="""\
Handwritten digits whose colour predicts the label better than their shape does, as long as the environment stays the
same. A model that follows the colour scores well in the training environments (p = 0.2 and 0.1) and badly where the
colour's relation to the label is reversed (p = 0.9); a model that follows the shape scores the same everywhere, at
most 1 − η. The dataset is the standard test of invariant risk minimization and its successors.""",
            construction="""\
- clean label c = [d < 5] for k = 2 classes, else ⌊d·k/10⌋, for the digit d;
- label y = (c + N) mod k, N ~ Bernoulli(η);
- colour z = (y + F) mod k, F ~ Bernoulli(p_e); so P(z = y) = 1 − p_e;
- patch (`two_spurious` only) w = (y + G) mod k, G ~ Bernoulli(p_e), independent of F: a bright square in the upper
  left (0) or lower right (1) corner; in custom configurations with `patch_crossed` the training environments'
  p_e go to the patch in reverse order;
- picture: MNIST's grey pixels, each second one in both directions (14 × 14), in the colour of z.""",
            columns={
                "image": "the coloured digit, an RGB picture",
                "digit": "0 … 9, as written",
                "color": "0 … k − 1: the colour z",
                "patch": "0 … k − 1: the corner w of the patch",
                "index": "the digit's place in MNIST; digits of its test file count from 60,000",
            },
            notes="""\
**Channels.** The k colours are evenly spread hues with a component of full strength, so `max(R, G, B)` is the grey
pixel again, and `color` says in which of the k channels it belongs. For k ≤ 3 the channels are the picture's red,
green and blue. `hf_metairm.data.image_tensors(split)` gives float32 `pixel_values` of shape (n, k, 14, 14).""",
            limits="With η = 0.25 no classifier that sees only the digit can score above 75 %.",
            credits="MNIST: Yann LeCun, Corinna Cortes, Christopher J. C. Burges.",
        )

    def _features(self) -> datasets.Features:
        k = self.config.num_classes
        classes = classes_of_digits(k)
        spans = [np.flatnonzero(classes == label) for label in range(k)]
        names = [str(span[0]) if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in spans]
        features = {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=names),
            "environment": datasets.Value("string"),
            "digit": datasets.Value("int64"),
            "clean_label": datasets.ClassLabel(names=names),
            "color": datasets.Value("int64"),
            "patch": datasets.Value("int64"),
            "index": datasets.Value("int32"),
        }
        if not self.config.colored:
            del features["color"]
        if not self.config.patched:
            del features["patch"]
        return datasets.Features(features)

    def _read(self, files: dict[str, Path]) -> dict[str, Any]:
        return roles_from_files(files)

    def _draw(self, split: str, rows: Digits, p: np.ndarray, *stream: str) -> dict[str, Any]:
        p_patch = p
        if self.config.patch_crossed and split != "test":  # rows go to the environments in turn
            p_patch = np.resize(np.array(self.config.environments)[::-1], len(p))
        seed, n, k = self.config.seed, len(rows), self.config.num_classes
        clean = classes_of_digits(k)[rows.digits]
        label = (clean + flips(seed, split, "label", n=n, probability=self.config.label_noise)) % k
        columns = {
            "label": label,
            "digit": rows.digits,
            "clean_label": clean,
            "color": (label + flips(seed, split, "color", *stream, n=n, probability=p)) % k,
            "patch": (label + flips(seed, split, "patch", *stream, n=n, probability=p_patch)) % k,
            "index": rows.index,
            "pixels": shrink(rows.images, self.config.image_size),
        }
        if self.config.patched:
            columns["pixels"] = add_patch(columns["pixels"], columns["patch"])
        else:
            del columns["patch"]
        if not self.config.colored:
            del columns["color"]
        return columns

    def _finish(self, columns: dict[str, Any]) -> dict[str, Any]:
        pixels = columns.pop("pixels")
        files = encode_pngs(paint(pixels, columns.get("color"), self.config.num_classes))
        return {"image": [{"bytes": file, "path": None} for file in files], **columns}
