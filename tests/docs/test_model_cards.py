"""The comparison of the published cards is that of their results, and their code runs where this package is not."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys

from hf_metairm.experiments import finetune_text, train_colored_mnist

from ..models.tiny import save_tiny_encoder
from .pages import ROOT


CARDS = [path.parent for path in sorted((ROOT / "model_cards").glob("*/README.md"))]
RUN = """
import sys
sys.modules["hf_metairm"] = None  # Not installed, as far as anyone can see.
for file in sys.argv[1:]:
    exec(compile(open(file, encoding="utf-8").read(), file, "exec"), {})
"""


def code_of(card):
    return re.search(r"```python\n(.*?)```", (card / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]


def test_the_table_of_the_cards_is_made_of_their_results():
    compare = runpy.run_path(str(ROOT / "model_cards" / "compare.py"))
    text = (ROOT / "model_cards" / "README.md").read_text(encoding="utf-8")
    assert compare["written"](text) == text, "run `python model_cards/compare.py`"
    for folder in CARDS:
        assert f"({folder.name}/README.md)" in text
        card = (folder / "README.md").read_text(encoding="utf-8")
        for result in json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]:
            assert f"| `{result['environment']}` |" in card
            assert f"{100 * result['accuracy']:.1f} ± {100 * result['standard_error']:.1f}" in card


def test_the_code_of_every_card_runs_without_this_package(tmp_path, monkeypatch):
    """On checkpoints of the same form, which two steps made."""
    monkeypatch.setenv("HF_METAIRM_CACHE", str(tmp_path / "cache"))
    encoder, plain = save_tiny_encoder(tmp_path / "encoder"), ["--max_steps", "2", "--use_cpu", "true"]
    file = tmp_path / "reviews.csv"
    rows = [f"a {('fine', 'dull')[k % 2]} film {k},{('good', 'bad')[k % 2]},{'nsw'[k % 3]}" for k in range(60)]
    file.write_text("\n".join(["text,label,site", *rows]))
    own = ["--model_name_or_path", str(encoder), "--dataset", str(file), "--environment_column", "site", *plain]
    finetune_text.main(
        [
            *own,
            "--stages",
            "two",
            "--head_units",
            "6",
            "--algorithms",
            "erm",
            "v-rex",
            "meta-irm",
            "--output_dir",
            str(tmp_path / "punctuated_sst2"),
        ]
    )
    finetune_text.main([*own, "--trainable", "lora", "--output_dir", str(tmp_path / "punctuated_sst2_lora")])
    train_colored_mnist.main([*plain, "--output_dir", str(tmp_path / "colored_mnist")])
    for card in CARDS:
        form, algorithm = card.name.split("-", 1)
        place = tmp_path / form
        name = re.search(r'^model_id = "(.*)"$', code_of(card), re.MULTILINE)[1]
        assert name == f"{algorithm}-seed0"
        assert (place / name).is_dir()
        program = f"import os; os.chdir({str(place)!r})\n{code_of(card)}"
        (tmp_path / f"{card.name}.py").write_text(program, encoding="utf-8")
    programs = [str(tmp_path / f"{card.name}.py") for card in CARDS]
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", RUN, *programs], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    printed = done.stdout.strip().splitlines()
    assert len(printed) == len(CARDS)
    for card, line in zip(CARDS, printed):
        assert re.search("good|bad|0-4|5-9|negative|positive", line), (card.name, line)
