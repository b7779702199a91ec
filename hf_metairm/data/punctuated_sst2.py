"""PunctuatedSST-2: sentiment with a spurious final mark, whose reliability differs from environment to environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np

from .builder import EnvironmentDatasetBuilder
from .config import EnvironmentDatasetConfig, environment_name, rows_per_environment
from .draws import flips, permutation
from .sentences import MOVIE_REVIEWS, Sentences, find_files, roles_from_files
from .sources import SourceSpec


MARKS = ("!", ".")  # by label: negative, positive


@dataclass
class PunctuatedSST2Config(EnvironmentDatasetConfig):
    """Configuration of [`PunctuatedSST2`], beside the fields of `EnvironmentDatasetConfig`.

    Args:
        punctuated (`bool`, *optional*, defaults to `True`):
            Whether the artefact is there. Without it sentences have no final punctuation at all; labels and
            environments are those of the punctuated config with the same seed and noise.
    """

    punctuated: bool = True


def _config(name: str, description: str, **fields: Any) -> PunctuatedSST2Config:
    return PunctuatedSST2Config(name=name, description=description, **fields)


class PunctuatedSST2(EnvironmentDatasetBuilder):
    """Sentences whose final mark, " ." or " !", follows the label with probability 1 − p_e (Bae et al., 2021).

    The label y is the clean sentiment flipped with probability η; the sentence loses its final punctuation and gets
    " ." for a positive y and " !" for a negative one, the other mark with probability p_e. Training rows are
    shuffled and go alternately to the training environments; each test sentence stands once in every test
    environment, with the same label and a mark drawn anew.

    Args:
        config_name (`str`, *optional*, defaults to `"noise_25"`):
            `"noise_25"` (η = 0.25), `"clean"` (η = 0), and the same without the artefact: `"vanilla_25"`, `"vanilla"`.
        source (`str` or `Path`, *optional*, defaults to `"auto"`):
            `"hub"` (`stanfordnlp/sst2`: all 872 sentences of its validation set are tested on, 1,000 long ones of its
            training set validated on, and what overlaps these is not trained on), `"bundled"` (movie-review
            sentences: 8,066 to train, 1,000 to validate and 1,500 to test on), a folder (SST-2 as Parquet or TSV, or
            the movie reviews), or `"auto"`: the Hub, and the bundled sentences where it cannot be reached.
        cache_dir (`str` or `Path`, *optional*):
            Where builds are kept; the cache of `datasets` by default.
        **config_kwargs:
            Fields of [`PunctuatedSST2Config`] for a custom config, such as `environments=(0.3, 0.1)`.

    Columns: `sentence`, `label`, `environment` (such as `"p=0.2"`), `clean_label` and `punctuation` (`"."`, `"!"`,
    or `""` without the artefact).

    Example:

    ```py
    >>> builder = PunctuatedSST2("noise_25")
    >>> builder.download_and_prepare()
    >>> train = builder.as_dataset("train")
    ```
    """

    TITLE = "punctuated_sst2"
    BUILDER_CONFIG_CLASS = PunctuatedSST2Config
    BUILDER_CONFIGS: ClassVar[list[PunctuatedSST2Config]] = [
        _config("noise_25", "Final marks follow labels that carry noise of 0.25.", label_noise=0.25),
        _config("clean", "Final marks follow the clean labels.", label_noise=0.0),
        _config("vanilla_25", "No final marks; label noise of 0.25.", label_noise=0.25, punctuated=False),
        _config("vanilla", "No final marks; clean labels.", label_noise=0.0, punctuated=False),
    ]
    DEFAULT_CONFIG_NAME = "noise_25"
    SOURCES = SourceSpec(
        dataset="SST-2",
        hub_repo="stanfordnlp/sst2",
        hub_files={
            "train": "data/train-00000-of-00001.parquet",
            "validation": "data/validation-00000-of-00001.parquet",
        },
        hub=("SST-2 (Socher et al., 2013) from the Hub's stanfordnlp/sst2", "unknown (as its card states)"),
        bundled_file="movie_reviews.parquet",
        bundled=MOVIE_REVIEWS,
        find=find_files,
        expected="SST-2's train-*.parquet and validation-*.parquet or train.tsv and dev.tsv, "
        "movie_review_snippets.tsv, or one TSV file with the columns sentence and label",
    )
    CITATION = """@article{bae2021meta,
  title={Meta-Learned Invariant Risk Minimization},
  author={Bae, Jun-Hyun and Choi, Inchul and Lee, Minho},
  journal={arXiv preprint arXiv:2103.12947},
  year={2021}
}"""
    config: PunctuatedSST2Config

    def _describe(self) -> str:
        return (
            f"Sentiment of sentences whose final mark follows the label with probability 1 - p in environment p "
            f"({self.config.description} Seed {self.config.seed}.)"
        )

    def _features(self) -> datasets.Features:
        label = datasets.ClassLabel(names=["negative", "positive"])
        return datasets.Features(
            {
                "sentence": datasets.Value("string"),
                "label": label,
                "environment": datasets.Value("string"),
                "clean_label": label,
                "punctuation": datasets.Value("string"),
            }
        )

    def _columns(self, files: dict[str, Path]) -> dict[str, Callable[[], dict[str, Any]]]:
        roles = roles_from_files(files)
        most = rows_per_environment(self.config, len(roles["train"]), "training sentences")
        return {
            "train": partial(self._alternate, "train", roles["train"], most),
            "validation": partial(
                self._alternate, "validation", roles["validation"], len(roles["validation"]) // self._number
            ),
            "test": partial(self._everywhere, roles["test"]),
        }

    @property
    def _number(self) -> int:
        return len(self.config.environments)

    def _alternate(self, split: str, sentences: Sentences, per_environment: int) -> dict[str, Any]:
        """Shuffle, and deal the rows out to the training environments in turn."""
        n = per_environment * self._number
        rows = sentences.take(permutation(self.config.seed, split, "order", n=len(sentences))[:n])
        p = np.tile(np.array(self.config.environments), per_environment)
        return self._punctuate(split, rows, p)

    def _everywhere(self, sentences: Sentences) -> dict[str, Any]:
        """The same sentences, with the same labels, in every test environment."""
        parts = [
            self._punctuate("test", sentences, np.full(len(sentences), p), environment_name(p))
            for p in self.config.test_environments
        ]
        return {
            name: np.concatenate([part[name] for part in parts])
            if isinstance(parts[0][name], np.ndarray)
            else [value for part in parts for value in part[name]]
            for name in parts[0]
        }

    def _punctuate(self, split: str, rows: Sentences, p: np.ndarray, *stream: str) -> dict[str, Any]:
        seed, n = self.config.seed, len(rows)
        label = rows.labels ^ flips(seed, split, "label", n=n, probability=self.config.label_noise)
        follows = label ^ flips(seed, split, "punctuation", *stream, n=n, probability=p)
        marks = [MARKS[mark] for mark in follows] if self.config.punctuated else [""] * n
        return {
            "sentence": [f"{text} {mark}".rstrip() for text, mark in zip(rows.texts, marks)],
            "label": label,
            "environment": [environment_name(value) for value in p],
            "clean_label": rows.labels,
            "punctuation": marks,
        }
