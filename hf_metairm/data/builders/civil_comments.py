"""CivilComments of WILDS: comments on news, toxic or not, by the group of people that they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..config import DatasetConfig
from ..delimited import read_delimited
from ..description import DatasetDescription
from ..draws import permutation
from ..registry import DATASETS
from ..sourced import SourcedDatasetBuilder
from ..sources import SourceSpec


IDENTITIES = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white")  # those of WILDS
ENVIRONMENTS = (*IDENTITIES, "several", "none")
SPLITS = {"train": "train", "validation": "val", "test": "test"}  # as WILDS calls them
FILE = "all_data_with_identities.csv"
CIVIL_COMMENTS = ("CivilComments-WILDS (Borkan et al., 2019; Koh et al., 2021)", "CC0 1.0")
MAJORITY = 0.5  # share of the people asked, from which on a comment is toxic or names an identity, as in WILDS


@dataclass
class CivilCommentsConfig(DatasetConfig):
    """Configuration of [`CivilComments`], beside the fields of [`DatasetConfig`].

    Args:
        unseen_environments (`tuple[str, ...]`, *optional*, defaults to `("black",)`):
            Environments to test on only. Where one is an identity, no comment that names it is trained or validated
            on, also none that names others too. May be empty.
    """

    unseen_environments: tuple[str, ...] = ("black",)

    def validate(self) -> None:
        """Raise `ValueError` with one sentence for the first field whose value makes no sense."""
        super().validate()
        if isinstance(self.unseen_environments, str):
            raise ValueError('unseen_environments must be a sequence of names, such as ("black",).')
        self.unseen_environments = tuple(self.unseen_environments)
        for name in self.unseen_environments:
            if name not in ENVIRONMENTS:
                raise ValueError(f"unseen_environments: there is no {name!r}; choose from {', '.join(ENVIRONMENTS)}.")
        if len(set(ENVIRONMENTS) - set(self.unseen_environments)) < 2:
            raise ValueError("unseen_environments leaves fewer than two environments to train on.")


@DATASETS.register
class CivilComments(SourcedDatasetBuilder):
    """CivilComments of WILDS (Borkan et al., 2019; Koh et al., 2021), with the identity that a comment names as its
    environment.

    A comment is toxic if at least half of the people asked called it so, and names an identity if at least half of
    them said so. It stands in the environment of the one identity that it names, in `several` if it names more than
    one of the eight, and in `none` if it names none. How often a comment is toxic differs between these, so a model
    can take the mention of an identity for a sign of toxicity.

    WILDS judges by groups of identity and label, and its groups overlap; here every comment has one environment, so
    figures of the two do not compare. The splits are those of WILDS.

    Args:
        config_name (`str`, *optional*, defaults to `"identities"`):
            There is one.
        source (`str` or `Path`, *optional*, defaults to `"auto"`):
            `"hub"` (a copy of WILDS' file in `shlomihod/civil-comments-wilds`, 273 MB), or a folder that holds
            `all_data_with_identities.csv`, such as the `civilcomments_v1.0` that the `wilds` package makes.
        cache_dir (`str` or `Path`, *optional*):
            Where builds are kept; the cache of `datasets` by default.
        **config_kwargs:
            Fields of [`CivilCommentsConfig`] for a custom config, such as `unseen_environments=("muslim", "LGBTQ")`.

    Columns: `sentence` (the comment), `label` (non-toxic or toxic), `environment`, `identities` (the names of all that
    are named, with commas) and `row` (in the file, from 0 on).

    Example:

    ```py
    >>> builder = CivilComments(source="data/civilcomments_v1.0")
    >>> builder.download_and_prepare()
    >>> train = builder.as_dataset("train")
    ```
    """

    TITLE = "civil_comments"
    SUMMARY = "Toxicity of comments on news, by the group of people that a comment names"
    ROWS = "comments"
    CITATION = """@inproceedings{koh2021wilds,
  title={{WILDS}: A Benchmark of in-the-Wild Distribution Shifts},
  author={Koh, Pang Wei and Sagawa, Shiori and Marklund, Henrik and Xie, Sang Michael and Zhang, Marvin and others},
  booktitle={International Conference on Machine Learning},
  year={2021}
}
@inproceedings{borkan2019nuanced,
  title={Nuanced Metrics for Measuring Unintended Bias with Real Data for Text Classification},
  author={Borkan, Daniel and Dixon, Lucas and Sorensen, Jeffrey and Thain, Nithum and Vasserman, Lucy},
  booktitle={Companion Proceedings of The 2019 World Wide Web Conference},
  year={2019}
}"""
    BYTES_PER_ROW = 768
    MOST_ROWS = 450_000
    BUILDER_CONFIG_CLASS = CivilCommentsConfig
    BUILDER_CONFIGS: ClassVar[list[CivilCommentsConfig]] = [
        CivilCommentsConfig(name="identities", description="An environment for each identity that a comment names.")
    ]
    DEFAULT_CONFIG_NAME = "identities"
    SOURCES = SourceSpec(
        dataset="CivilComments-WILDS",
        find=lambda folder: next(
            (({"comments": path}, *CIVIL_COMMENTS) for path in sorted(folder.rglob(FILE)) if path.is_file()), None
        ),
        expected=FILE,
        hub_repo="shlomihod/civil-comments-wilds",
        hub_files={"comments": FILE},
        hub=CIVIL_COMMENTS,
        address="https://wilds.stanford.edu (civilcomments_v1.0)",
    )
    config: CivilCommentsConfig

    def describe(self) -> DatasetDescription:
        """What the card says of this dataset."""
        unseen = ", ".join(f"`{name}`" for name in self.config.unseen_environments) or "none"
        return DatasetDescription(
            title="CivilComments by identity",
            task="text-classification",
            summary="""\
Comments on news sites, toxic or not. Comments that name some groups of people are toxic more often than others, so
a model can take the mention of a group for a sign of toxicity. The environment of a comment is the group that it
names.""",
            construction=f"""\
- a comment is toxic if at least half of the people asked called it toxic;
- its environment is the one identity of WILDS' eight that at least half of the people asked saw named, `several` if
  there are more, `none` if there is none;
- environments that are tested on only: {unseen}. No comment that names one of these identities is trained or
  validated on, also none in `several`.

The splits are those of WILDS; all of its test comments are there.""",
            columns={
                "sentence": "the comment",
                "label": "whether it is toxic: what is to be predicted",
                "environment": f"one of {', '.join(f'`{name}`' for name in ENVIRONMENTS)}",
                "identities": "the identities that it names, with commas; empty for none",
                "row": "its row in the file, from 0 on",
            },
            notes="""\
WILDS judges by the worst of its groups of identity and label, which overlap. Here every comment has one environment,
so these figures and those of WILDS do not compare.""",
            limits="""\
The labels and the identities are what people asked on the internet said of a comment, often few of them. The
environments differ in size and in how often a comment is toxic, so accuracies in them are not alike in meaning. The
comments are English and from 2015 to 2017; many are offensive.""",
            credits="""\
The comments are from the archive of the Civil Comments platform, labelled by Jigsaw (D. Borkan et al., WWW 2019); the
splits and the eight identities are those of WILDS (P. W. Koh et al., ICML 2021).""",
            language="en",
            natural=True,
        )

    def far_environment(self) -> str:
        """The last of those that are tested on only."""
        return [*IDENTITIES, *self.config.unseen_environments][-1]

    def _features(self) -> datasets.Features:
        text = datasets.Value("string")
        return datasets.Features(
            {
                "sentence": text,
                "label": datasets.ClassLabel(names=["non-toxic", "toxic"]),
                "environment": text,
                "identities": text,
                "row": datasets.Value("int32"),
            }
        )

    def _splits(self, files: dict[str, Path]) -> Iterator[tuple[str, dict[str, Any]]]:
        comments = _read(files["comments"])
        split, named = np.array(comments["split"].to_pylist()), _shares(comments, IDENTITIES) >= MAJORITY
        hidden = self._is_unseen(named)
        toxic = _shares(comments, ("toxicity",))[:, 0] >= MAJORITY
        for name, their in SPLITS.items():
            rows = np.flatnonzero((split == their) & (~hidden | (name == "test")))
            if name == "train":
                some = permutation(self.config.seed, name, "rows", n=len(rows))
                rows = np.sort(rows[some[: round(self.config.train_fraction * len(rows))]])
            if not len(rows):
                raise ValueError(f"{files['comments']} has no comments of the split {their!r} that can be used.")
            yield (
                name,
                {
                    "sentence": comments["comment_text"].take(rows).to_pylist(),
                    "label": toxic[rows].astype(np.int64),
                    "environment": [_environment(row) for row in named[rows]],
                    "identities": [",".join(np.array(IDENTITIES)[row]) for row in named[rows]],
                    "row": rows,
                },
            )

    def _is_unseen(self, named: np.ndarray) -> np.ndarray:
        """Whether each comment is of an unseen environment, or names an unseen identity beside others."""
        unseen, count = self.config.unseen_environments, named.sum(1)
        of_identity = named[:, [identity in unseen for identity in IDENTITIES]].any(1)
        found: np.ndarray = of_identity | ((count == 0) & ("none" in unseen)) | ((count > 1) & ("several" in unseen))
        return found


def _environment(named: np.ndarray) -> str:
    return IDENTITIES[int(named.argmax())] if named.sum() == 1 else "several" if named.any() else "none"


def _read(path: Path) -> pa.Table:
    table = read_delimited(path, ",", quoted=True)
    missing = [name for name in ("comment_text", "split", "toxicity", *IDENTITIES) if name not in table.column_names]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}: it is not the {FILE} of WILDS.")
    for name in table["split"].unique().to_pylist():
        if name not in SPLITS.values():
            raise ValueError(f"{path}: a split is {', '.join(SPLITS.values())}, not {name!r:.40}.")
    return table


def _shares(table: pa.Table, columns: tuple[str, ...]) -> np.ndarray:
    """Columns of shares as float64 of shape (n, columns); nobody was asked where there is none, and nobody said so."""
    found = []
    for name in columns:
        column = table[name]
        try:
            share = pc.if_else(pc.equal(column, ""), "0", column).cast(pa.float64())
        except pa.ArrowInvalid as error:
            raise ValueError(f"The column {name} of {FILE} holds something else than shares ({error}).") from error
        found.append(share.to_numpy())
    return np.stack(found, axis=1)
