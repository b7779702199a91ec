"""The file and the model that the pages speak of, small enough for a test."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from ..models.tiny import save_tiny_encoder
from .pages import ROOT


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> Path:
    """What stands in for distilbert-base-uncased."""
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder") / "model", mean_pooled=False)


@pytest.fixture(scope="session")
def folder_with_reviews(tmp_path_factory) -> Path:
    """A folder with `reviews.csv`: four sites, in each of which "!" says something else about the label."""
    folder, draws = tmp_path_factory.mktemp("reviews"), random.Random(0)
    with open(folder / "reviews.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label", "site"])
        for site, honest in (("paris", 0.9), ("london", 0.7), ("rome", 0.8), ("berlin", 0.1)):
            for k in range(100):
                label = k % 2
                mark = "!" if (draws.random() < honest) == bool(label) else "."
                rows.writerow([f"{'good' if label else 'bad'} film number {k}{mark}", label, site])
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The documentation as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder
