"""Open anyone's dataset by one name: of this package, a file, a folder, or one of the Hub."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import datasets

from .files import KINDS, ReadOptions, kind_of, read_table
from .registry import DATASETS


logger = logging.getLogger(__name__)

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
MOST_LINES = 10  # about the files of one split
_SPLIT_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_SHARD = re.compile(r"(\w+)-\d{5}-of-\d{5}")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def open_splits(
    name: str,
    config: str | None = None,
    *,
    source: str = "auto",
    options: ReadOptions = ReadOptions(),  # noqa: B008
    say: Callable[[str], None] = logger.info,
) -> datasets.DatasetDict:
    """
    Open all splits of a dataset.

    Args:
        name (`str`): of this package (see [`DATASETS`]), a file, a folder (data files, a dataset's repository, or what
            `save_to_disk` wrote), or a name on the Hub.
        config (`str`, *optional*): its config.
        source (`str`, *optional*, defaults to `"auto"`): where the datasets of this package are made from.
        options (`ReadOptions`, *optional*): how files are read.
        say (`Callable`, *optional*): takes a line for each file: how many rows it has.

    Raises:
        ValueError: the file's kind is not known, it cannot be read, or there is no such config.
        FileNotFoundError: there is no such file, folder or dataset.
    """
    if name in DATASETS:
        builder = DATASETS[name](config, source=source)
        builder.download_and_prepare()
        return builder.as_dataset()
    path = Path(name).expanduser()
    if path.is_file():
        return datasets.DatasetDict(train=_read(path, options, say))
    if path.is_dir():
        return _open_folder(path, config, options, say)
    if kind_of(path) is not None:
        raise FileNotFoundError(f"There is no file {name}.")
    return datasets.load_dataset(name, config)


def open_dataset(
    name: str,
    config: str | None,
    split: str,
    source: str = "auto",
    *,
    options: ReadOptions = ReadOptions(),  # noqa: B008
    say: Callable[[str], None] = logger.info,
) -> datasets.Dataset:
    """
    Open one split of a dataset, or several as in `"train+validation"`, or a part of one as in `"train[:10%]"`.

    Takes what [`open_splits`] takes. A single file is all there is of its dataset, whatever split is asked for.

    Raises:
        ValueError: also, there is no such split.
    """
    if name not in DATASETS and not Path(name).expanduser().exists() and kind_of(Path(name)) is None:
        return datasets.load_dataset(name, config, split=split)  # no other split is fetched
    splits = open_splits(name, config, source=source, options=options, say=say)
    if len(splits) == 1 and Path(name).expanduser().is_file():
        return next(iter(splits.values()))
    return _pick(splits, split, name)


def _pick(splits: datasets.DatasetDict, split: str, name: str) -> datasets.Dataset:
    lengths = {str(key): len(rows) for key, rows in splits.items()}
    try:
        parts = datasets.ReadInstruction.from_spec(split).to_absolute(lengths)
    except (ValueError, AssertionError) as error:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(lengths)}.") from error
    chosen = [splits[part.splitname].select(range(part.from_, part.to)) for part in parts]
    return datasets.concatenate_datasets(chosen) if len(chosen) > 1 else chosen[0]


def _open_folder(
    folder: Path, config: str | None, options: ReadOptions, say: Callable[[str], None]
) -> datasets.DatasetDict:
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        loaded = datasets.load_from_disk(str(folder))
        loaded = loaded if isinstance(loaded, datasets.DatasetDict) else datasets.DatasetDict(train=loaded)
        return loaded.with_format(None)  # numpy's or torch's values have no use before a batch is made
    card = folder / "README.md"
    if config is not None or (card.is_file() and re.search(r"(?m)^configs:", card.read_text(errors="replace"))):
        return datasets.load_dataset(str(folder), config)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path.relative_to(folder))]
    readable = [path for path in files if kind_of(path) is not None]
    if not readable:
        if any(path.suffix.lower() in _PICTURES for path in files):
            return datasets.load_dataset(str(folder))
        there = ", ".join(path.name for path in files[:5]) or "nothing"
        raise ValueError(f"The folder {folder} has no data files ({', '.join(KINDS)}); it holds {there}.")
    return datasets.DatasetDict(
        {split: _joined(folder, paths, options, say) for split, paths in _by_split(folder, readable, say).items()}
    )


def _by_split(folder: Path, files: list[Path], say: Callable[[str], None]) -> dict[str, list[Path]]:
    """Files by the split that their names or folders say; where none says one, all are `train`."""
    split_of = {path: _split_in(path.relative_to(folder)) for path in files}
    splits = [split for split in split_of.values() if split is not None]
    if not splits:
        return {"train": files}
    for path, split in split_of.items():
        if split is None:
            say(f"{path} is left out: its name says no split, and those of other files do.")
    order = sorted(
        set(splits), key=lambda split: (list(SPLIT_WORDS).index(split) if split in SPLIT_WORDS else 9, split)
    )
    return {split: [path for path in files if split_of[path] == split] for split in order}


def _split_in(path: Path) -> str | None:
    shard = _SHARD.search(path.name)
    if shard:
        return _SPLIT_OF.get(shard[1].lower(), shard[1])
    for part in (path.name, *(parent.name for parent in path.parents)):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in _SPLIT_OF:
                return _SPLIT_OF[word]
    return None


def _joined(folder: Path, paths: list[Path], options: ReadOptions, say: Callable[[str], None]) -> datasets.Dataset:
    kinds = {kind_of(path) for path in paths}
    if len(kinds) > 1:
        raise ValueError(
            f"The folder {folder} holds files of several kinds ({', '.join(path.name for path in paths[:5])}), which "
            "may be the same rows twice: name the one file that is meant."
        )
    each = say if len(paths) <= MOST_LINES else logger.info
    parts = [_read(path, options, each) for path in paths]
    if each is not say:
        say(f"{folder}: {sum(map(len, parts)):,} rows in {len(paths):,} files ({', '.join(parts[0].column_names)}).")
    for path, part in zip(paths, parts):
        if part.features != parts[0].features:
            different = sorted(set(part.column_names) ^ set(parts[0].column_names)) or ["of other types"]
            raise ValueError(
                f"{path} and {paths[0]} have different columns ({', '.join(different)}): name one file, or make them "
                "alike."
            )
    return datasets.concatenate_datasets(parts) if len(parts) > 1 else parts[0]


def _read(path: Path, options: ReadOptions, say: Callable[[str], None]) -> datasets.Dataset:
    rows = read_table(path, options)
    say(f"{path}: {len(rows):,} rows ({', '.join(rows.column_names)}).")
    return rows


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.parts)
