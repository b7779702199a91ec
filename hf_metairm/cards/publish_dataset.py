"""Builds as Parquet files with their card, in a folder or on the Hub: the same files in both."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import datasets
import pyarrow.parquet as pq
from huggingface_hub import HfApi

from ..data.samples import draw_samples
from ..data.sourced import SourcedDatasetBuilder
from ..files import filling
from .dataset_card import check_alike, data_path, dataset_card


ROW_GROUP = 10_000  # rows that a reader fetches at once: about a megabyte


def write_parquet(
    builders: list[SourcedDatasetBuilder], folder: str | Path, *, repo_id: str | None = None
) -> list[Path]:
    """Write prepared configs as a dataset repository: Parquet files, card and picture.

    `datasets.load_dataset(folder, config)` reads the folder as it reads the Hub. Everything is written to a folder
    beside it, and moved when it is whole: a build that is killed leaves the folder as it was.

    Args:
        builders (`list[SourcedDatasetBuilder]`):
            Prepared builders of one dataset, one per config and all from one source.
        folder (`str` or `Path`):
            Where to; made if it does not exist. Files of the same names are replaced.
        repo_id (`str`, *optional*):
            The repository that the card's example names; the folder by default.

    Returns:
        `list[Path]`: the files.

    Raises:
        `ValueError`: builders of several datasets or sources.
    """
    check_alike(builders)
    folder = Path(folder)
    with filling(folder, last="README.md") as new:  # Without its card the folder is no dataset with these configs.
        names = _write(builders, new, repo_id or str(folder))
    return [folder / name for name in names]


def _write(builders: list[SourcedDatasetBuilder], folder: Path, repo_id: str) -> list[str]:
    names: list[str] = []
    sizes: dict[str, int] = {}
    for builder in builders:
        for split, dataset in builder.as_dataset().items():
            names.append(data_path(builder.config_id, str(split)))
            path = folder / names[-1]
            path.parent.mkdir(exist_ok=True)
            _write_table(dataset, path)
            sizes[builder.config_id] = sizes.get(builder.config_id, 0) + path.stat().st_size
    default = next((b for b in builders if b.config_id == b.DEFAULT_CONFIG_NAME), builders[0])
    draw_samples(default.as_dataset(), folder / "samples.png")
    dataset_card(builders, repo_id, sizes).save(folder / "README.md")
    return [*names, "samples.png", "README.md"]


def _write_table(dataset: datasets.Dataset, path: Path) -> None:
    """Write one split. `Dataset.to_parquet` leaves images uncompressed, and these PNGs are stored ones."""
    table = dataset.with_format("arrow")[:].combine_chunks().cast(dataset.features.arrow_schema)
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=["environment"],
        write_page_index=True,
    )


def push_to_hub(
    builders: list[SourcedDatasetBuilder],
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    folder: str | Path | None = None,
) -> str:
    """Push prepared configs to a dataset repository of the Hub, in one commit: all of it is there, or nothing.

    Args:
        builders (`list[SourcedDatasetBuilder]`):
            Prepared builders of one dataset, one per config and all from one source.
        repo_id (`str`):
            Such as `"name/colored_mnist"`; made if it does not exist. Configs that are there and not among `builders`
            lose their entry in the card.
        private (`bool`, *optional*):
            For a repository that is made.
        token (`str`, *optional*):
            The Hub's token; the one that is logged in by default.
        folder (`str` or `Path`, *optional*):
            What `write_parquet` wrote for these builders; written anew to a temporary folder by default.

    Returns:
        `str`: the commit's address.
    """
    api = HfApi(token=token)
    temporary = Path(tempfile.mkdtemp()) if folder is None else None
    try:
        if temporary is not None:
            write_parquet(builders, temporary, repo_id=repo_id)
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        names = ", ".join(builder.config_id for builder in builders)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=str(temporary or folder),
            allow_patterns=["README.md", "samples.png", *(f"{b.config_id}/*.parquet" for b in builders)],
            commit_message=f"Upload {builders[0].TITLE}: {names}",
        )
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return str(commit.commit_url)
