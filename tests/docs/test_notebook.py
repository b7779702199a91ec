"""The notebook on one's own data: every cell runs, on a tiny encoder and for two steps; no output is kept in it."""

from __future__ import annotations

import ast
import json

import pytest

from .pages import ROOT
from .test_own_data import SMALLER


NOTEBOOK = ROOT / "trainer_examples" / "own_data.ipynb"
SITES = ["lisbon", "oslo", "prague"]


@pytest.fixture(scope="module")
def notebook():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def run(code: str, namespace: dict):
    """What Jupyter would show below a cell: the value of its last line, if that is an expression."""
    tree = ast.parse(code)
    shown = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec", dont_inherit=True), namespace)
    return None if shown is None else eval(compile(shown, str(NOTEBOOK), "eval"), namespace)


def test_it_is_committed_without_outputs(notebook):
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_every_cell_runs(notebook, encoder, tmp_path, monkeypatch, capsys):
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for text, smaller in {**SMALLER, 'MODEL = "minilm"': f"MODEL = {str(encoder)!r}"}.items():
        assert sum(cell.count(text) for cell in cells) == 1, f"{text} is no longer in the notebook"
        cells = [cell.replace(text, smaller) for cell in cells]
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    head, *tables = (shown for shown in [run(cell, namespace) for cell in cells] if shown is not None)
    assert list(head.columns) == ["text", "label", "site"]
    printed = capsys.readouterr().out
    assert "classes ['negative', 'positive']" in printed
    assert "differs: sentence ends in '!'" in printed
    accuracy, turned = tables
    assert list(accuracy.index) == list(turned.index) == ["erm", "meta-irm"]
    assert list(accuracy.columns) == [*SITES, "berlin, unseen"]
    assert accuracy.stack().between(0, 100).all()
    assert list(turned.columns) == ["!", "."]
    assert turned.stack().str.fullmatch(r"(positive|negative) \(\d+%\)").all()
    rows = namespace["data"]
    assert set(rows.train["environment"]) == set(SITES)
    assert rows.test["environment"][:].count("berlin") == 30
