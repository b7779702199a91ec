"""The page of a new dataset shows the one that is tested."""

from __future__ import annotations

from .pages import ROOT, snippets


def test_the_page_of_a_new_dataset_shows_the_toy_that_is_tested():
    (snippet,) = snippets(ROOT / "docs" / "new_dataset.md", "py")
    toy = (ROOT / "tests" / "data" / "toy_dataset.py").read_text(encoding="utf-8")
    assert toy.endswith(snippet.text)
    assert snippet.text.startswith("from __future__")
