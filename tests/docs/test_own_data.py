"""The example of one's own data, from the file to the card, on a tiny encoder and for two steps."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification

from ..models.tiny import save_tiny_encoder
from .pages import ROOT


SMALLER = {
    "ROWS = 600": "ROWS = 30",
    '"max_steps": 100': '"max_steps": 2, "use_cpu": True',
    '"logging_steps": 10': '"logging_steps": 1',
    '"per_device_train_batch_size": 240': '"per_device_train_batch_size": 12',
}


@pytest.mark.usefixtures("drawn_pictures")
def test_from_the_file_to_the_card(tmp_path, monkeypatch, capsys):
    script = ROOT / "trainer_examples" / "own_data.py"
    code = script.read_text(encoding="utf-8")
    for text, smaller in {
        **SMALLER,
        'MODEL = "minilm"': f"MODEL = {str(save_tiny_encoder(tmp_path / 'tiny'))!r}",
    }.items():
        assert code.count(text) == 1, f"{text} is no longer in the example"
        code = code.replace(text, smaller)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(script), "exec", dont_inherit=True), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "lisbon: 30 rows" in printed
    assert "differs: text ends in '!'" in printed
    assert printed.count("erm") == printed.count("meta-irm") == 1, "the table has a line of each"
    for name in ("erm", "meta-irm"):
        folder = tmp_path / "outputs" / "own_data" / name
        results = {result.dataset_split: result for result in ModelCard.load(folder / "README.md").data.eval_results}
        assert results.keys() == {"lisbon", "oslo", "prague", "berlin"}
        assert results["berlin"].dataset_args["unseen_in_training"]
        assert results["berlin"].dataset_args["rows"] == 30
        AutoModelForSequenceClassification.from_pretrained(folder)
