"""
Write the table of `README.md` from the cards' results.

    python model_cards/compare.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hf_metairm.experiments.tables import markdown


HERE = Path(__file__).parent
README, BEGIN, END = HERE / "README.md", "<!-- results -->\n", "<!-- end -->\n"
SHOWN = ("p=0.1", "p=0.2", "p=0.9")


def table() -> str:
    """Accuracy in percent with the standard error of the test rows: a row for each card."""
    rows = []
    for file in sorted(HERE.glob("*/results.json")):
        card = json.loads(file.read_text(encoding="utf-8"))
        by_name: dict[str, Any] = {result["environment"]: result for result in card["results"]}
        worst = by_name[card["worst_environment"]]
        cells = [_percent(by_name[name]) for name in SHOWN]
        name = file.parent.name
        rows.append(
            [name, card["algorithm"], *cells, f"{_percent(worst)} at {worst['environment']}", str(card["steps"])]
        )
    header = ["card", "algorithm", *SHOWN[:-1], f"{SHOWN[-1]}, unseen", "worst of all environments", "steps"]
    return markdown(header, rows, left=(0, 1, 5))


def _percent(result: dict[str, Any]) -> str:
    return f"{100 * result['accuracy']:.1f} ± {100 * result['standard_error']:.1f}"


def written(text: str) -> str:
    """The README's text with the table of today in it."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
