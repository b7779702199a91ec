"""The README's snippet runs as it stands, but for a smaller model and a file that is there."""

from __future__ import annotations

import re
from pathlib import Path

from .models.tiny import save_tiny_encoder


README = Path(__file__).parents[1] / "README.md"


def test_snippet_on_a_csv_with_a_site_column(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 14
    monkeypatch.chdir(tmp_path)
    rows = [f"{'good' if k % 2 else 'bad'} film {k},{k % 2},{site}" for k in range(100) for site in ("north", "south")]
    Path("reviews.csv").write_text("\n".join(["text,label,site", *rows]))
    model = save_tiny_encoder(tmp_path / "model")
    code = code.replace("distilbert-base-uncased", str(model)).replace('"output", ', '"output", report_to="none", ')
    exec(compile(code, str(README), "exec"), {})
    printed = capsys.readouterr().out
    assert "eval_north_accuracy" in printed
    assert "eval_worst_environment_accuracy" in printed
