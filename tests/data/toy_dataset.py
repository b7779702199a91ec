"""A dataset in one file: numbers whose word follows their parity."""

from __future__ import annotations

from dataclasses import dataclass

import datasets
import numpy as np

from hf_metairm.data.builder import EnvironmentDatasetBuilder
from hf_metairm.data.config import EnvironmentDatasetConfig
from hf_metairm.data.description import DatasetDescription
from hf_metairm.data.draws import flips
from hf_metairm.data.registry import DATASETS
from hf_metairm.data.sources import SourceSpec


WORDS = ("odd", "even")  # by label


@dataclass
class Numbers:
    """Rows of the original data: anything with a length and `take`."""

    values: np.ndarray

    def __len__(self):
        return len(self.values)

    def take(self, rows):
        """The numbers of these rows, in this order."""
        return Numbers(self.values[rows])


@DATASETS.register
class Toy(EnvironmentDatasetBuilder):
    """Numbers with a word that says their parity with probability 1 − p_e."""

    TITLE = "toy"
    SUMMARY = "Parities whose word follows the label with probability 1 - p in environment p"
    ROWS = "numbers"
    CUES = {"word": WORDS}  # noqa: RUF012
    BUILDER_CONFIG_CLASS = EnvironmentDatasetConfig
    BUILDER_CONFIGS = [EnvironmentDatasetConfig(name="plain", description="All there is.")]  # noqa: RUF012
    SOURCES = SourceSpec(
        dataset="numbers",
        hub_repo="nobody/numbers",
        hub_files={"all": "numbers.parquet"},
        hub=("numbers of the Hub", "MIT"),
        bundled_file="mnist.parquet",  # a file in hf_metairm/data/bundled; this dataset needs none of it
        bundled=("numbers of the package", "MIT"),
        find=lambda folder: None,
        expected="numbers",
    )

    def describe(self):
        """What its card says."""
        return DatasetDescription(
            title="Toy",
            task="text-classification",
            summary="Numbers from 0 on.",
            construction="- label y = parity XOR N, N ~ Bernoulli(η); word = y XOR F, F ~ Bernoulli(p_e).",
            columns={"word": "what the number is called"},
            credits="Nobody made them.",
        )

    def _features(self):
        label = datasets.ClassLabel(names=list(WORDS))
        text = datasets.Value("string")
        return datasets.Features({"word": text, "label": label, "clean_label": label, "environment": text})

    def _read(self, files):
        """The original rows of each split; `files` holds the bundled file, those of a folder, or those of the Hub."""
        return {
            "train": Numbers(np.arange(400)),
            "validation": Numbers(np.arange(400, 500)),
            "test": Numbers(np.arange(500, 550)),
        }

    def _draw(self, split, rows, p, *stream):
        """The columns of some rows, whose cue is wrong with probability p."""
        seed, n = self.config.seed, len(rows)
        clean = 1 - rows.values % 2
        label = clean ^ flips(seed, split, "label", n=n, probability=self.config.label_noise)
        word = label ^ flips(seed, split, "word", *stream, n=n, probability=p)
        return {"word": [WORDS[value] for value in word], "label": label, "clean_label": clean}
