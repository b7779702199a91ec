"""What all builders share: a cache folder per source, and builds that are whole or not there."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
from datasets import config as datasets_config
from filelock import FileLock

from .config import DatasetConfig
from .description import DatasetDescription
from .sources import Source, SourceSpec, locate


logger = logging.getLogger(__name__)

SHARDS = 16  # pieces of a split that processes may share; more processes than this gain nothing


class SourcedDatasetBuilder(datasets.GeneratorBasedBuilder):
    """Base of all builders: a split is made as whole columns at once, and its rows are then written in order.

    A subclass gives the constants below, `describe`, `far_environment`, `_features` and `_splits`. Where a cue is
    drawn for each row, [`EnvironmentDatasetBuilder`] asks for less.
    """

    TITLE: ClassVar[str]  # the name that commands, results and cards use; that of the file
    SUMMARY: ClassVar[str]  # one sentence without its full stop
    ROWS: ClassVar[str]  # what a row is, in the plural, such as "sentences"
    # Column of a cue: its values by label, `None` for the label's ids; empty where no column holds one.
    CUES: ClassVar[dict[str, Sequence[str] | None]] = {}
    CITATION: ClassVar[str] = ""  # BibTeX
    SOURCES: ClassVar[SourceSpec]
    BYTES_PER_ROW: ClassVar[int] = 512
    MOST_ROWS: ClassVar[int]  # of a build, all splits together
    DEFAULT_WRITER_BATCH_SIZE = 1000
    BUILDER_CONFIGS: ClassVar[list[Any]]
    config: DatasetConfig

    def __init__(
        self,
        config_name: str | None = None,
        *,
        source: str | Path = "auto",
        cache_dir: str | Path | None = None,
        **config_kwargs: Any,
    ):
        known = [config.name for config in self.BUILDER_CONFIGS]
        if config_name is not None and config_name not in known:
            raise ValueError(
                f"{type(self).__name__} has no config {config_name!r}; choose {', '.join(known)}, and change single "
                "fields by keyword for a custom one."
            )
        for key in config_kwargs:
            if key not in self.BUILDER_CONFIGS[0].fields():
                raise ValueError(
                    f"{type(self).__name__} has no field {key!r}; a config's fields are "
                    f"{', '.join(self.BUILDER_CONFIGS[0].fields())}."
                )
        self.source = str(source)
        self.data_source: Source | None = None
        super().__init__(
            cache_dir=str(cache_dir) if cache_dir is not None else None,
            dataset_name=self.TITLE,
            config_name=config_name,
            **config_kwargs,
        )
        self.config.validate()

    @classmethod
    def turn_cue(cls, text: str) -> str | None:
        """A text with its cue turned round; `None` where no text of this dataset has one that a rule can turn."""
        return None

    def download_and_prepare(
        self, output_dir: str | None = None, download_config: Any = None, download_mode: Any = None, **kwargs: Any
    ) -> None:
        """Build the dataset, or find it in the cache.

        Takes what [`datasets.DatasetBuilder.download_and_prepare`] takes; `num_proc` changes how fast the rows are
        written, never the rows.

        Raises:
            `ConnectionError`, `FileNotFoundError`: the source is not there or cannot be reached (see `source`).
            `ValueError`: the source is damaged or too small for the config.
            `OSError`: too little disk space.
        """
        reuse = datasets.DownloadMode.REUSE_DATASET_IF_EXISTS
        may_reuse = output_dir is None and datasets.DownloadMode(download_mode or reuse) == reuse
        self._use(locate(self.SOURCES, self.source, self._is_built if may_reuse else lambda fingerprint: False))
        target = Path(output_dir or self._cache_dir)
        if "://" not in str(output_dir) and not _is_whole(target, self.TITLE):
            _discard_half(target, self.TITLE)
            _check_space(target, self._estimated_bytes())
        try:
            super().download_and_prepare(output_dir, download_config, download_mode, **kwargs)
        except Exception as error:
            reason = _root(error)
            if isinstance(reason, OSError) and reason.errno == errno.ENOSPC:
                raise OSError(
                    errno.ENOSPC, f"No disk space left in {target.parent}; free some or give another cache_dir."
                ) from error
            if isinstance(reason, ValueError) and isinstance(error, datasets.exceptions.DatasetGenerationError):
                raise reason from error
            raise

    def as_dataset(self, split: Any = None, in_memory: bool = False) -> datasets.Dataset | datasets.DatasetDict:
        """Open the dataset that `download_and_prepare` built: one `split`, or all of them."""
        if self.data_source is None:
            raise FileNotFoundError(
                f"{self.TITLE}/{self.config_id} is not built yet; call .download_and_prepare() first."
            )
        return super().as_dataset(split=split, in_memory=in_memory)

    # What subclasses give ----------------------------------------------------------------------------------------

    def describe(self) -> DatasetDescription:
        """What the card says of this dataset, from the source that it was built from."""
        raise NotImplementedError

    def far_environment(self) -> str:
        """Name of the test environment that is furthest from those that are trained on, for the card's example."""
        raise NotImplementedError

    def _features(self) -> datasets.Features:
        raise NotImplementedError

    def _splits(self, files: dict[str, Path]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The columns of `"train"`, `"validation"` and `"test"`: arrays or lists."""
        raise NotImplementedError

    def _finish(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Turn some rows' columns into those of the features; this is the part that processes share."""
        return columns

    def _estimated_bytes(self) -> int:
        """An upper bound of the build's size."""
        return self.MOST_ROWS * self.BYTES_PER_ROW

    # What `datasets` asks for ------------------------------------------------------------------------------------

    def _info(self) -> datasets.DatasetInfo:
        source = self.data_source
        text = f"{self.SUMMARY} ({self.config.description} Seed {self.config.seed}.)"
        return datasets.DatasetInfo(
            description=f"{text} Source: {source.title}." if source else text,
            features=self._features(),
            citation=self.CITATION,
            license=source.licence if source else "",
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        if self.data_source is None or not self.data_source.files:  # streaming straight from the builder
            self._use(locate(self.SOURCES, self.source, lambda fingerprint: False))
        assert self.data_source is not None
        generators = []
        for split, columns in self._splits(self.data_source.files):
            bounds = np.linspace(0, len(columns["label"]), SHARDS + 1).astype(int)
            shards = [
                {name: column[start:stop] for name, column in columns.items()}
                for start, stop in pairwise(bounds)
                if stop > start
            ]
            generators.append(datasets.SplitGenerator(name=split, gen_kwargs={"shards": shards}))
            generators[-1].split_info.num_examples = len(columns["label"])  # the length of the progress bar
        return generators

    def _generate_examples(self, shards: list[dict[str, Any]]) -> Iterator[tuple[Any, dict[str, Any]]]:
        key = 0
        for shard in shards:
            # Python's own numbers and strings: numpy's scalars would be encoded one by one, and slowly.
            columns = {
                name: column.tolist() if isinstance(column, np.ndarray) else column
                for name, column in self._finish(dict(shard)).items()
            }
            names = list(columns)
            for values in zip(*columns.values()):
                yield key, dict(zip(names, values))
                key += 1

    def _download_and_prepare(self, dl_manager: Any, verification_mode: Any, **kwargs: Any) -> None:
        # Here the lock is held and `_output_dir` is the build's temporary folder: a killed build's files go first.
        for path in Path(self._output_dir).iterdir():
            path.unlink()
        super()._download_and_prepare(dl_manager, verification_mode, **kwargs)

    # One cache folder per source ---------------------------------------------------------------------------------

    def _use(self, source: Source) -> None:
        if source.kind != "bundled" or self.source == "bundled":  # otherwise `locate` has said it
            logger.info("%s/%s: source is %s (%s).", self.TITLE, self.config_id, source.title, source.kind)
        self.data_source = source
        self.hash = source.fingerprint
        self._cache_dir = self._output_dir = self._build_cache_dir()
        info = self._info()
        info.builder_name, info.dataset_name = self.name, self.dataset_name
        info.config_name, info.version = self.config.name, self.config.version
        self.info = info

    def _is_built(self, fingerprint: str) -> bool:
        kept, self.hash = self.hash, fingerprint
        try:
            return _is_whole(Path(self._build_cache_dir()), self.TITLE)
        finally:
            self.hash = kept


def _is_whole(folder: Path, name: str) -> bool:
    """Whether a finished build is in `folder`: its description, and every file that the description promises."""
    description = folder / datasets_config.DATASET_INFO_FILENAME
    if not description.is_file():
        return False
    try:
        splits = datasets.DatasetInfo.from_directory(str(folder)).splits or {}
    except (OSError, ValueError):
        return False
    for split, info in splits.items():
        files = sorted(folder.glob(f"{name}-{split}*"))
        if len(files) < max(1, len(info.shard_lengths or [])):
            return False
    return bool(splits)


def _discard_half(folder: Path, name: str) -> None:
    """Take the description from a folder that lacks files, so that it is built anew.

    A build that is killed while it replaces an older one leaves such a folder. The lock is the one that builds hold:
    another process may be moving its finished build there right now.
    """
    description = folder / datasets_config.DATASET_INFO_FILENAME
    if description.is_file():
        with FileLock(f"{folder}_builder.lock"):
            if not _is_whole(folder, name):
                description.unlink(missing_ok=True)


def _check_space(folder: Path, needed: int) -> None:
    parent = folder
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{parent} cannot be written; give another cache_dir.")
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"The build may need {needed / 1e6:.0f} MB, but {parent} has {free / 1e6:.0f} MB free; free some or give "
            "another cache_dir",
        )


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
