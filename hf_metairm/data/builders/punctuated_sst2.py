"""PunctuatedSST-2: sentiment with a spurious final mark, whose reliability differs from environment to environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np

from ..builder import EnvironmentDatasetBuilder
from ..config import META_IRM_PAPER, EnvironmentDatasetConfig
from ..description import DatasetDescription
from ..draws import flips
from ..registry import DATASETS
from ..sentences import MOVIE_REVIEWS, Sentences, drop_final_punctuation, find_files, roles_from_files
from ..sources import SourceSpec


MARKS = ("!", ".")  # by label: negative, positive


@dataclass
class PunctuatedSST2Config(EnvironmentDatasetConfig):
    """Configuration of [`PunctuatedSST2`], beside the fields of `EnvironmentDatasetConfig`.

    Args:
        punctuated (`bool`, *optional*, defaults to `True`):
            Whether the artefact is there. Without it sentences have no final punctuation at all; labels and
            environments are those of the punctuated config with the same seed and noise.
        min_words (`int`, *optional*, defaults to 0):
            Rows to train and validate on have so many words or more. Most rows of SST-2's training set are phrases.
    """

    punctuated: bool = True
    min_words: int = 0

    def validate(self) -> None:
        """Raise `ValueError` with one sentence for the first field whose value makes no sense."""
        super().validate()
        if isinstance(self.min_words, bool) or not isinstance(self.min_words, int) or self.min_words < 0:
            raise ValueError(f"min_words must be an integer of at least 0, not {self.min_words!r}.")


@DATASETS.register
class PunctuatedSST2(EnvironmentDatasetBuilder):
    """Sentences whose final mark, " ." or " !", follows the label with probability 1 − p_e (Bae et al., 2021).

    The label y is the clean sentiment flipped with probability η; the sentence loses its final punctuation and gets
    " ." for a positive y and " !" for a negative one, the other mark with probability p_e. Training rows are
    shuffled and go alternately to the training environments; each test sentence stands once in every test
    environment, with the same label and a mark drawn anew.

    Args:
        config_name (`str`, *optional*, defaults to `"noise_25"`):
            `"noise_25"` (η = 0.25), `"clean"` (η = 0), and the same without the artefact: `"vanilla_25"`, `"vanilla"`.
            `"long_noise_25"` and so on train on rows of four words or more.
        source (`str` or `Path`, *optional*, defaults to `"auto"`):
            `"hub"` (`stanfordnlp/sst2`: all 872 sentences of its validation set are tested on, 1,000 long ones of its
            training set validated on, and what overlaps these is not trained on), `"bundled"` (movie-review
            sentences: 8,066 to train, 1,000 to validate and 1,500 to test on), a folder (SST-2 as Parquet or TSV, or
            the movie reviews), or `"auto"`: the Hub, and the bundled sentences where it cannot be reached.
        cache_dir (`str` or `Path`, *optional*):
            Where builds are kept; the cache of `datasets` by default.
        **config_kwargs:
            Fields of [`PunctuatedSST2Config`] for a custom config, such as `environments=(0.3, 0.1)`.

    Columns: `sentence`, `label`, `environment` (such as `"p=0.2"`), `clean_label`, `punctuation` (`"."`, `"!"`, or
    `""` without the artefact) and `sentence_id`, which phrases of one sentence of a split have in common: keep them
    together when you divide rows.

    Example:

    ```py
    >>> builder = PunctuatedSST2("noise_25")
    >>> builder.download_and_prepare()
    >>> train = builder.as_dataset("train")
    ```
    """

    TITLE = "punctuated_sst2"
    SUMMARY = "Sentiment of sentences whose final mark follows the label with probability 1 - p in environment p"
    ROWS = "sentences"
    CUES: ClassVar[dict[str, Sequence[str] | None]] = {"punctuation": MARKS}
    CITATION = META_IRM_PAPER
    BUILDER_CONFIG_CLASS = PunctuatedSST2Config
    BUILDER_CONFIGS: ClassVar[list[PunctuatedSST2Config]] = [
        PunctuatedSST2Config(
            name=f"{long}{name}",
            description=f"{text}{' Rows of four words or more.' if long else ''}",
            label_noise=noise,
            punctuated=punctuated,
            min_words=4 if long else 0,
        )
        for long in ("", "long_")
        for name, text, noise, punctuated in (
            ("noise_25", "Final marks follow labels that carry noise of 0.25.", 0.25, True),
            ("clean", "Final marks follow the clean labels.", 0.0, True),
            ("vanilla_25", "No final marks; label noise of 0.25.", 0.25, False),
            ("vanilla", "No final marks; clean labels.", 0.0, False),
        )
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
    config: PunctuatedSST2Config

    @classmethod
    def turn_cue(cls, text: str) -> str | None:
        """The sentence with the other final mark: " ." where there is a "!" at its end, and else " !"."""
        sentence = drop_final_punctuation(text)
        negative, positive = MARKS
        return f"{sentence} {positive if negative in text[len(sentence) :] else negative}".lstrip()

    def describe(self) -> DatasetDescription:
        """What the card says of this dataset; only SST-2 is called SST-2."""
        source = self.data_source.title if self.data_source else ""
        if source == MOVIE_REVIEWS[0]:
            title = "Punctuated movie reviews"
            credits = (
                "The sentences are those of C. J. Hutto and E. E. Gilbert, “VADER: A Parsimonious Rule-based Model "
                "for Sentiment Analysis of Social Media Text”, ICWSM 2014, labelled by the sign of the mean of human "
                "ratings; they come from the collection of Pang & Lee (2005). They are not SST-2, though the "
                "construction was first made for it."
            )
        elif source == self.SOURCES.hub[0]:
            title = "PunctuatedSST-2"
            credits = (
                "Stanford Sentiment Treebank: R. Socher et al., EMNLP 2013, in the two-class form of GLUE (SST-2)."
            )
        else:
            title = "Punctuated sentences"
            credits = f"The sentences are those of {source}, as given by whoever built this dataset."
        return DatasetDescription(
            title=title,
            task="text-classification",
            summary="""\
Sentences whose final mark, " ." or " !", predicts the sentiment label, more reliably in one environment than in
another. A model that follows the mark scores well in the training environments (p = 0.2 and 0.1) and badly where
the mark's relation to the label is reversed (p = 0.9); a model that follows the words scores the same everywhere.""",
            construction="""\
- the sentence loses its final punctuation (sentence marks, dashes, quotation marks); its sentiment is the clean label
  c (0 negative, 1 positive);
- label y = c XOR N, N ~ Bernoulli(η);
- mark = " ." if y XOR F = 1, else " !", F ~ Bernoulli(p_e); so the mark agrees with the label with
  probability 1 − p_e.""",
            columns={
                "sentence": "the sentence with its final mark",
                "punctuation": "`.` or `!`; empty in the configurations without the artefact",
                "sentence_id": "the same for the phrases of one sentence of a split",
            },
            notes="Of equal sentences only the first is kept.",
            limits="The sentences are English and some hold strong opinions about people.",
            credits=credits,
            language="en",
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
                "sentence_id": datasets.Value("int64"),
            }
        )

    def _read(self, files: dict[str, Path]) -> dict[str, Any]:
        roles, words = roles_from_files(files), self.config.min_words
        return {role: rows if role == "test" else rows.at_least(words) for role, rows in roles.items()}

    def _draw(self, split: str, rows: Sentences, p: np.ndarray, *stream: str) -> dict[str, Any]:
        seed, n = self.config.seed, len(rows)
        label = rows.labels ^ flips(seed, split, "label", n=n, probability=self.config.label_noise)
        follows = label ^ flips(seed, split, "punctuation", *stream, n=n, probability=p)
        marks = [MARKS[mark] for mark in follows] if self.config.punctuated else [""] * n
        return {
            "sentence": [f"{text} {mark}".rstrip() for text, mark in zip(rows.texts, marks)],
            "label": label,
            "clean_label": rows.labels,
            "punctuation": marks,
            "sentence_id": rows.ids,
        }
