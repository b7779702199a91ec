"""Builds from the bundled data, each made once for all tests."""

from __future__ import annotations

import datasets
import pytest

from hf_metairm.data import DATASETS


@pytest.fixture(scope="session", autouse=True)
def _no_progress_bars():
    datasets.disable_progress_bars()


@pytest.fixture(scope="session")
def bundled(tmp_path_factory):
    """`bundled(title, config, **fields)`: a prepared builder."""
    cache = tmp_path_factory.mktemp("bundled")
    made = {}

    def build(title, config=None, **fields):
        key = (title, config, tuple(sorted(fields.items())))
        if key not in made:
            made[key] = DATASETS[title](config, source="bundled", cache_dir=cache, **fields)
            made[key].download_and_prepare()
        return made[key]

    return build
