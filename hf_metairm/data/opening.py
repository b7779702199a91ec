"""Open anyone's dataset by one name: of this package, a file, a folder, or one of the Hub."""

from __future__ import annotations

from pathlib import Path

import datasets
from datasets.exceptions import DatasetGenerationError

from .registry import DATASETS


READERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}


def open_dataset(name: str, config: str | None, split: str, source: str = "auto") -> datasets.Dataset:
    """
    Open one split of a dataset.

    Args:
        name (`str`): `"colored_mnist"`, `"punctuated_sst2"`, a file (Parquet, CSV, TSV, JSON, JSON lines), a folder
            (`save_to_disk` or data files), or a name on the Hub.
        config (`str`, *optional*): its config.
        split (`str`): which split, several as in `"train+validation"`; a file is all there is of its dataset.
        source (`str`, *optional*, defaults to `"auto"`): where the two datasets of this package are made from.

    Raises:
        ValueError: the file's kind is not known, it cannot be read, or there is no such split or config.
        FileNotFoundError: there is no such file, folder or dataset.
    """
    if name in DATASETS:
        builder = DATASETS[name](config, source=source)
        builder.download_and_prepare()
        return builder.as_dataset(split)
    path = Path(name).expanduser()
    if path.is_file():
        return read_file(path)
    if path.suffix in READERS:
        raise FileNotFoundError(f"There is no file {name}.")
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        loaded = datasets.load_from_disk(str(path))
        if isinstance(loaded, datasets.Dataset):
            return loaded
        if split not in loaded:
            raise ValueError(f"{name} has no split {split!r}; it has {', '.join(loaded)}.")
        return loaded[split]
    return datasets.load_dataset(str(path) if path.is_dir() else name, config, split=split)


def read_file(path: Path) -> datasets.Dataset:
    """
    All rows of a Parquet, CSV, TSV, JSON or JSON lines file.

    Raises:
        ValueError: it is none of these, or cannot be read as what its name says.
    """
    if path.suffix not in READERS:
        raise ValueError(f"{path}: files of kind {path.suffix!r} cannot be read; give {', '.join(READERS)}.")
    options = {"sep": "\t"} if path.suffix == ".tsv" else {}
    try:
        return datasets.load_dataset(READERS[path.suffix], data_files=str(path), split="train", **options)
    except (DatasetGenerationError, ValueError) as error:
        if "corresponds to no data" in str(error):
            raise ValueError(f"{path} has no rows.") from None
        raise ValueError(f"{path} cannot be read as {path.suffix[1:]}: {error.__cause__ or error}.") from error
