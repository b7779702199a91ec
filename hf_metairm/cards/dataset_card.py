"""The card that goes to the Hub with a build: YAML for the viewer, the construction, the build's own statistics."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import Any

import datasets
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData

from ..data.builder import EnvironmentDatasetBuilder
from ..data.description import DatasetDescription
from ..data.sourced import SourcedDatasetBuilder
from ..data.statistics import environment_statistics
from .text import table


_LICENCE_IDS = {"MIT": "mit", "CC BY-SA": "cc-by-sa-3.0", "Apache-2.0": "apache-2.0", "CC0": "cc0-1.0"}


def data_path(config_id: str, split: str) -> str:
    """Where a split's Parquet file stands in the repository."""
    return f"{config_id}/{split}-00000-of-00001.parquet"


def check_alike(builders: list[SourcedDatasetBuilder]) -> None:
    """Raise `ValueError` unless these are prepared configs of one dataset from one source, none of them twice."""
    sources = {builder.data_source.fingerprint if builder.data_source else None for builder in builders}
    if len({type(builder) for builder in builders}) != 1 or len(sources) != 1 or None in sources:
        raise ValueError("One repository holds prepared configs of one dataset from one source; keep others apart.")
    if len({builder.config_id for builder in builders}) != len(builders):
        raise ValueError("One config stands twice among the builders.")


def dataset_card(
    builders: list[SourcedDatasetBuilder], repo_id: str, sizes: dict[str, int] | None = None
) -> DatasetCard:
    """Write the card of a repository.

    Args:
        builders (`list[SourcedDatasetBuilder]`):
            Prepared builders of one dataset, one per config and all from one source. The default config is the
            dataset's own if it is among them, else the first.
        repo_id (`str`):
            The repository, for the example in the card.
        sizes (`dict[str, int]`, *optional*):
            Bytes of the Parquet files, by config.

    Returns:
        `huggingface_hub.DatasetCard`.

    Raises:
        `ValueError`: no builder, or builders of several datasets or sources.
    """
    check_alike(builders)
    first = builders[0]
    assert first.data_source is not None
    ids = [builder.config_id for builder in builders]
    default = first.DEFAULT_CONFIG_NAME if first.DEFAULT_CONFIG_NAME in ids else ids[0]
    about = first.describe()
    data = DatasetCardData(
        language=[about.language] if about.language else None,
        license=next((id for name, id in _LICENCE_IDS.items() if name in first.data_source.licence), "unknown"),
        task_categories=[about.task],
        size_categories=_size(max(sum(split.num_examples for split in b.info.splits.values()) for b in builders)),
        pretty_name=about.title,
        tags=["invariant-risk-minimization", "out-of-distribution", "spurious-correlations", "meta-irm"],
    )
    DatasetInfosDict(
        {builder.config_id: _described(builder, sizes or {}) for builder in builders}
    ).to_dataset_card_data(data)
    configs = MetadataConfigs(
        {
            builder.config_id: {
                "data_files": [
                    {"split": str(split), "path": data_path(builder.config_id, str(split))}
                    for split in builder.info.splits
                ],
                **({"default": True} if builder.config_id == default else {}),
            }
            for builder in builders
        }
    )
    configs.to_dataset_card_data(data)
    template = "natural_dataset_card.md" if about.natural else "dataset_card.md"
    text = Template((files(__package__) / template).read_text(encoding="utf-8"))
    return DatasetCard(f"---\n{data.to_yaml()}\n---\n\n" + text.substitute(_words(builders, repo_id, default, about)))


def _words(
    builders: list[SourcedDatasetBuilder], repo_id: str, default: str, about: DatasetDescription
) -> dict[str, Any]:
    first = next((builder for builder in builders if builder.config_id == default), builders[0])
    source = first.data_source
    assert source is not None
    rows = {str(name): split.num_examples for name, split in first.info.splits.items()}
    features = {name: None for builder in builders for name in builder.info.features}
    return {
        **{name: getattr(about, name) for name in ("title", "summary", "construction", "notes", "limits", "credits")},
        "rows": first.ROWS,
        "far": first.far_environment(),
        "repo_id": repo_id,
        "default": default,
        "source": source.title,
        "licence": source.licence,
        "seed": first.config.seed,
        "configs": table(
            ["config", "what", *([] if about.natural else ["η"]), "rows of `train`"], map(_config_row, builders)
        ),
        "columns": table(["column", "what"], ([f"`{name}`", about.column(name)] for name in features)),
        "statistics": "\n\n".join(_statistics(builder) for builder in builders),
        "citation": first.CITATION,
        **(_dealt(first, rows, default) if isinstance(first, EnvironmentDatasetBuilder) else {}),
    }


def _dealt(builder: EnvironmentDatasetBuilder, rows: dict[str, int], default: str) -> dict[str, str]:
    """How many rows there are, and in which environments, where rows are dealt out to them."""
    train, tests = (
        [builder.environment_name(p) for p in environments]
        for environments in (builder.config.environments, builder.config.test_environments)
    )
    return {
        "train_text": f"{rows['train']:,} (in `{default}`)",
        "validation_text": f"{rows['validation']:,}",
        "test_text": f"{rows['test'] // len(tests):,}",
        "train_environments": ", ".join(train),
        "test_environments": ", ".join(tests),
    }


def _config_row(builder: SourcedDatasetBuilder) -> list[str]:
    rows = builder.info.splits["train"].num_examples
    text = builder.config.description or ""
    if builder.config_id != builder.config.name:
        known = type(builder.config)()
        changed = {name: value for name, value in builder.config.fields().items() if value != getattr(known, name)}
        text += " Custom: " + ", ".join(f"{name} = {value}" for name, value in changed.items())
    noise = [] if builder.describe().natural else [f"{getattr(builder.config, 'label_noise', 0):g}"]
    return [f"`{builder.config_id}`", text, *noise, f"{rows:,}"]


def _statistics(builder: SourcedDatasetBuilder) -> str:
    found = environment_statistics(builder)
    lines = (
        [row.split, row.environment, f"{row.rows:,}", *(f"{p:.4f} ± {row.error(p):.4f}" for p in row.shares.values())]
        for row in found
    )
    return f"**{builder.config_id}**\n\n" + table(["split", "environment", "rows", *found[0].shares], lines)


def _described(builder: SourcedDatasetBuilder, sizes: dict[str, int]) -> datasets.DatasetInfo:
    info = builder.info.copy()
    info.config_name = builder.config_id
    info.download_size = sizes.get(builder.config_id, info.download_size)
    return info


def _size(rows: int) -> str:
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return name
    return "1M<n<10M"
