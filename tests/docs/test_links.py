"""Every relative link, anchor and picture of the pages exists."""

from __future__ import annotations

import re

import pytest

from .pages import PAGES, ROOT, name_of, prose


LINKED = [
    *PAGES,
    *(page for folder in ("benchmarks", "dataset_scripts", "model_cards") for page in (ROOT / folder).rglob("*.md")),
]
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)


def anchors(text):
    """Of the headings, as GitHub and the site make them."""
    titles = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in _HEADING.findall(text)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_links(page):
    for link in _LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}, which is not there"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(prose(target)), f"{name_of(page)} links to {link}: no such heading"


def test_anchors_are_made_as_github_makes_them():
    assert anchors("## `H v` in three kinds\n\n# σ on small [batches](x.md)\n") == {
        "h-v-in-three-kinds",
        "σ-on-small-batches",
    }
