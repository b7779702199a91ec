"""The comparison of the published cards is that of their results."""

from __future__ import annotations

import json
import runpy

from .pages import ROOT


def test_the_table_of_the_cards_is_made_of_their_results():
    compare = runpy.run_path(str(ROOT / "model_cards" / "compare.py"))
    text = (ROOT / "model_cards" / "README.md").read_text(encoding="utf-8")
    assert compare["written"](text) == text, "run `python model_cards/compare.py`"
    for folder in (path for path in (ROOT / "model_cards").iterdir() if path.is_dir() and path.name != "__pycache__"):
        assert f"({folder.name}/README.md)" in text
        card = (folder / "README.md").read_text(encoding="utf-8")
        for result in json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]:
            assert f"| `{result['environment']}` |" in card
            assert f"{100 * result['accuracy']:.1f} ± {100 * result['standard_error']:.1f}" in card
