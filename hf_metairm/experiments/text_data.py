"""Text with environments for `finetune_text`: from a builder of this library, the Hub, or the user's own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import datasets

from ..data import PunctuatedSST2
from ..data.opening import READERS, read_file


@dataclass
class TextData:
    """
    Rows to train and to test on, with the columns `sentence`, `label` (`ClassLabel`) and `environment`.

    Args:
        train (`datasets.Dataset`): rows of the environments that are trained on.
        test (`datasets.Dataset`): held-out rows, of the unseen environment too.
        name (`str`): what the data are called in the model's card.
        origin (`str`, *optional*): what they were made from, in words.
        config (`str`, *optional*): which config of them.
        citation (`str`, *optional*): their BibTeX.
        language (`str`, *optional*): code of their language.
        on_hub (`str`, *optional*): their name on the Hub, where they come from there.
    """

    train: datasets.Dataset
    test: datasets.Dataset
    name: str
    origin: str | None = None
    config: str | None = None
    citation: str | None = None
    language: str | None = None
    on_hub: str | None = None


def load_punctuated_sst2(config: str, source: str, seed: int) -> TextData:
    """PunctuatedSST-2 in one of its configs, its artefact and label noise drawn with `seed`."""
    builder = PunctuatedSST2(config, source=source, seed=seed)
    builder.download_and_prepare()
    assert builder.data_source is not None
    return TextData(
        builder.as_dataset("train"),
        builder.as_dataset("test"),
        name=builder.TITLE,
        origin=builder.data_source.title,
        config=builder.config.name,
        citation=builder.CITATION,
        language="en",
    )


def load_own(
    name: str,
    config: str | None,
    *,
    text_column: str,
    label_column: str,
    environment_column: str,
    test_split: str,
    unseen_environments: list[str],
    test_share: float,
    seed: int,
) -> TextData:
    """
    A dataset of the user's: a CSV, TSV, JSON or Parquet file, a folder of them, or a name on the Hub.

    Rows of `unseen_environments` are tested on and never trained on. Where there is no split `test_split`, a share of
    the other rows is held out to test on as well.

    Raises:
        ValueError: a column, file or environment that is not there.
    """
    path = Path(name).expanduser()
    if path.is_file():
        loaded = datasets.DatasetDict(train=read_file(path))
    elif path.suffix in READERS:
        raise ValueError(f"There is no file {name}.")
    else:
        loaded = datasets.load_dataset(str(path) if path.is_dir() else name, config)
    train = loaded["train"] if "train" in loaded else next(iter(loaded.values()))
    columns = {text_column: "sentence", label_column: "label", environment_column: "environment"}
    missing = [c for c in columns if c not in train.column_names]
    if missing:
        raise ValueError(
            f"{name} has no column {missing[0]!r} (its columns: {', '.join(train.column_names)}): name yours with "
            "--text_column, --label_column and --environment_column."
        )
    if test_split in loaded:
        train, test = _tidy(train, columns), _tidy(loaded[test_split], columns)
    else:
        train = _tidy(train, columns)
        parts = train.train_test_split(test_size=test_share, seed=seed)
        train, test = parts["train"], parts["test"]
    names = set(map(str, train.unique("environment"))) | set(map(str, test.unique("environment")))
    for environment in unseen_environments:
        if environment not in names:
            raise ValueError(f"No rows of environment {environment!r}; there are {', '.join(sorted(names))}.")
    kept = train.filter(lambda row: str(row["environment"]) not in unseen_environments)
    held_out = train.filter(lambda row: str(row["environment"]) in unseen_environments)
    test = datasets.concatenate_datasets([test, held_out]) if len(held_out) else test
    return TextData(kept, test, name=path.name, config=config, on_hub=None if path.exists() else name)


def _tidy(dataset: datasets.Dataset, columns: dict[str, str]) -> datasets.Dataset:
    dataset = dataset.select_columns(list(columns)).rename_columns({a: b for a, b in columns.items() if a != b})
    if not isinstance(dataset.features["label"], datasets.ClassLabel):
        dataset = dataset.class_encode_column("label")
    return dataset
