"""Revised IMDb reviews: what a review's other words say of its sentiment holds until somebody revises it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np

from ..builder import EnvironmentDatasetBuilder
from ..config import EnvironmentDatasetConfig
from ..description import DatasetDescription
from ..draws import flips
from ..registry import DATASETS
from ..revisions import Pairs, find_pairs, read_pairs
from ..sources import SourceSpec


SHARES = (0.0, 0.2, 0.5, 0.8, 1.0)


@dataclass
class CADIMDbConfig(EnvironmentDatasetConfig):
    """Configuration of [`CADIMDb`], whose environments are shares of revised reviews.

    Args:
        environments (`tuple[float, ...]`, *optional*, defaults to `(0.0, 0.2)`):
            The share of revised reviews in each training environment, and in those of the `validation` split.
        test_environments (`tuple[float, ...]`, *optional*, defaults to `(0.0, 0.2, 0.5, 0.8, 1.0)`):
            The share in each test environment.
        label_noise (`float`, *optional*, defaults to `0.0`):
            Nothing else: a review has the sentiment that its writer gave it.

    The other fields are those of [`EnvironmentDatasetConfig`].
    """

    environments: tuple[float, ...] = (0.0, 0.2)
    test_environments: tuple[float, ...] = SHARES
    label_noise: float = 0.0

    def validate(self) -> None:
        """Raise `ValueError` with one sentence for the first field whose value makes no sense."""
        super().validate()
        if self.label_noise:
            raise ValueError("label_noise must be 0: a review has the sentiment that its writer gave it.")


@DATASETS.register
class CADIMDb(EnvironmentDatasetBuilder):
    """Counterfactually revised IMDb reviews (Kaushik, Hovy & Lipton, 2020), mixed with the reviews they were made of.

    A pair is a review and a revision of it: somebody changed what had to be changed for the other sentiment, and left
    the rest. Words that go with a sentiment in the originals, such as those of a genre, go with the other one in the
    revisions. Nobody planted this cue. In the environment `revised=s` each pair gives its revision with probability
    s, else its original, so such words speak for the label with probability 1 − s.

    Training pairs are shuffled and go alternately to the training environments; each test pair stands once in every
    test environment, with the twin drawn anew.

    Args:
        config_name (`str`, *optional*, defaults to `"originals"`):
            `"originals"` (trained where 0 and 20 % of the reviews are revised; all of them are in the furthest test
            environment) or `"revisions"` (the other way round: 100 and 80 %, and none).
        source (`str` or `Path`, *optional*, defaults to `"auto"`):
            A folder with the files of `acmi-lab/counterfactually-augmented-data`: its `sentiment` folder, or all six
            files in one place, the originals as `original-train.tsv` and so on. They are not in the package, and the
            Hub is not asked for them.
        cache_dir (`str` or `Path`, *optional*):
            Where builds are kept; the cache of `datasets` by default.
        **config_kwargs:
            Fields of [`CADIMDbConfig`] for a custom config, such as `environments=(0.0, 0.1)`.

    Columns: `sentence` (the whole review, its line breaks as spaces), `label` (negative or positive), `environment`
    (such as `"revised=0.2"`), `original_label` (the sentiment of the pair's original), `revised` and `pair`.

    Example:

    ```py
    >>> builder = CADIMDb(source="counterfactually-augmented-data/sentiment")
    >>> builder.download_and_prepare()
    >>> train = builder.as_dataset("train")
    ```
    """

    TITLE = "cad_imdb"
    SUMMARY = "Sentiment of IMDb reviews, of which a share s is revised to the other sentiment in environment s"
    ROWS = "pairs"
    CUES: ClassVar[dict[str, Sequence[str] | None]] = {"original_label": None}
    CITATION = """@inproceedings{kaushik2020learning,
  title={Learning the Difference that Makes a Difference with Counterfactually-Augmented Data},
  author={Kaushik, Divyansh and Hovy, Eduard and Lipton, Zachary C.},
  booktitle={International Conference on Learning Representations},
  year={2020}
}"""
    BUILDER_CONFIG_CLASS = CADIMDbConfig
    BUILDER_CONFIGS: ClassVar[list[CADIMDbConfig]] = [
        CADIMDbConfig(name="originals", description="Trained on originals, and on a few revisions."),
        CADIMDbConfig(
            name="revisions",
            description="Trained on revisions, and on a few originals.",
            environments=(1.0, 0.8),
            test_environments=SHARES[::-1],
        ),
    ]
    DEFAULT_CONFIG_NAME = "originals"
    SOURCES = SourceSpec(
        dataset="CAD-IMDb",
        find=find_pairs,
        expected="train_paired.tsv and orig/train.tsv (or original-train.tsv), and the same for dev and test",
        address="the folder sentiment of https://github.com/acmi-lab/counterfactually-augmented-data",
    )
    config: CADIMDbConfig

    def describe(self) -> DatasetDescription:
        """What the card says of this dataset."""
        return DatasetDescription(
            title="Counterfactually revised IMDb reviews by environment",
            task="text-classification",
            summary="""\
IMDb reviews and revisions of them. Whoever revised a review changed what had to be changed for the other sentiment,
and left the rest. So words that go with a sentiment in reviews as people write them, such as those of a genre, go with
the other one in revisions. The environments differ in the share of revisions. A model that follows such words scores
well in the training environments and worse where the share is another.""",
            construction="""\
- a pair is an original review of sentiment y₀ and its revision of sentiment 1 − y₀;
- in the environment `revised=s` each pair gives one row: its revision with probability s, else its original;
- training pairs are shuffled, then dealt out to the training environments in turn; validation pairs likewise;
- each test pair stands once in every test environment, its twin drawn anew.

The split is that of the authors, and no review is in two splits. The test environments share their pairs: an accuracy
in one of them rests on as many independent pairs as it has rows, and the average over environments on no more.""",
            columns={
                "sentence": "the whole review, its line breaks as spaces",
                "label": "its sentiment: what is to be predicted",
                "environment": "name of the environment, such as `revised=0.2`",
                "original_label": "the sentiment of the pair's original, which the words that were left speak for",
                "revised": "whether the review is a revision",
                "pair": "number of the pair in the authors' files (`batch_id`)",
            },
            notes="""\
Pairs of which neither or both twins stand among the originals, and pairs with the same words in both twins, are left
out. P(original_label = label) is the share of originals.""",
            limits="""\
The cue is natural, the mix is not: nobody meets reviews of which a known share is revised. Revisions differ from
originals in more than the cue; they are easier to tell apart. A review has 207 tokens of MiniLM on average: an encoder
that reads 128 sees only the beginning of 85 % of the reviews, one that reads 256 of 25 %. The reviews are English,
some are offensive, and the test set is small: one standard error of an accuracy of 80 % is 1.8 points.""",
            credits="""\
The revisions and the pairs: D. Kaushik, E. Hovy and Z. C. Lipton, ICLR 2020. The original reviews are from IMDb, in
the collection of A. L. Maas et al., ACL 2011.""",
            language="en",
            natural=True,
        )

    def environment_name(self, p: float) -> str:
        """Such as `"revised=0.2"`."""
        return f"revised={p:g}"

    def _features(self) -> datasets.Features:
        label = datasets.ClassLabel(names=["negative", "positive"])
        return datasets.Features(
            {
                "sentence": datasets.Value("string"),
                "label": label,
                "environment": datasets.Value("string"),
                "original_label": label,
                "revised": datasets.Value("bool"),
                "pair": datasets.Value("int32"),
            }
        )

    def _read(self, files: dict[str, Path]) -> dict[str, Any]:
        return read_pairs(files)

    def _draw(self, split: str, rows: Pairs, p: np.ndarray, *stream: str) -> dict[str, Any]:
        revised = flips(self.config.seed, split, "revised", *stream, n=len(rows), probability=p)
        twins = zip(rows.originals, rows.revisions)
        return {
            "sentence": [pair[which] for pair, which in zip(twins, revised.astype(int))],
            "label": rows.labels ^ revised,
            "original_label": rows.labels,
            "revised": revised,
            "pair": rows.numbers,
        }
