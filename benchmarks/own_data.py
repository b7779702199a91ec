"""
What `hf-metairm tune` does for people's own data: files made from the bundled sentences, three sites to train on and
one that is unseen, and in each the whole of the command.

    python benchmarks/own_data.py --output outputs/own_data

Each sentence may get a mark, "[A]" or "[B]", in front of it, which agrees with the label in a share of the rows that
depends on the site:

| file | paris | rome | oslo | berlin, unseen |
|---|---|---|---|---|
| `shortcut` | 90 % | 80 % | 70 % | 20 % |
| `noisy`: the same, and labels are flipped in 5 / 25 / 15 / 15 % of rows | 90 % | 80 % | 70 % | 20 % |
| `equal`: no site tells the mark from content | 80 % | 80 % | 80 % | 20 % |
| `none`: there is no mark | | | | |
| `noisy_none`: no mark, labels flipped as in `noisy` | | | | |

The rows of all files are the same sentences in the same order, so ERM on `none` and on `noisy_none` is what is there
to be reached. The raw results go to `docs/benchmarks/own_data.jsonl`, the table to `own_data.md`. `--files` and
`--tune` (more words for the command) choose a part of it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.text import Text

import hf_metairm.data


AGREES = {"paris": 0.9, "rome": 0.8, "oslo": 0.7, "berlin": 0.2}
EQUAL = {"paris": 0.8, "rome": 0.8, "oslo": 0.8, "berlin": 0.2}
FLIPPED = {"paris": 0.05, "rome": 0.25, "oslo": 0.15, "berlin": 0.15}
FILES: dict[str, tuple[dict[str, float] | None, dict[str, float] | None]] = {
    "shortcut": (AGREES, None),
    "noisy": (AGREES, FLIPPED),
    "equal": (EQUAL, None),
    "none": (None, None),
    "noisy_none": (None, FLIPPED),
}
OUT = Path(__file__).parents[1] / "docs" / "benchmarks"


def sentences() -> list[tuple[str, int]]:
    """The bundled sentences with their sentiment, shuffled."""
    table = pq.read_table(Path(hf_metairm.data.__file__).parent / "bundled" / "movie_reviews.parquet")
    rows = list(zip(table["sentence"].to_pylist(), (int(v > 0) for v in table["valence"].to_pylist())))
    random.Random(0).shuffle(rows)
    return rows


def make_file(name: str, file: Path) -> None:
    """One of [`FILES`]."""
    agrees, flipped = FILES[name]
    rows, draw = sentences(), random.Random(1)
    part = len(rows) // len(AGREES)
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["text", "label", "site"])
        for k, site in enumerate(AGREES):
            for text, label in rows[k * part : (k + 1) * part]:
                noise, mark = draw.random(), draw.random()
                if flipped and noise < flipped[site]:
                    label = 1 - label
                if agrees:
                    text = f"{'[A]' if (label == 1) == (mark < agrees[site]) else '[B]'} {text}"
                table.writerow([text, "positive" if label else "negative", site])


def tune(file: Path, folder: Path, more: list[str]) -> None:
    """Carry the command out, as a user would."""
    command = [sys.executable, "-m", "hf_metairm", "tune", str(file), "--environment_column", "site"]
    command += ["--unseen_environments", "berlin", "--max_length", "64", "--output_dir", str(folder), *more]
    print("$", shlex.join(command[1:]), flush=True)
    subprocess.run(command, check=True)


def train(file: Path, folder: Path) -> None:
    """ERM in two stages, without a search."""
    command = [sys.executable, "-m", "hf_metairm", "train", "--dataset", str(file), "--environment_column", "site"]
    command += ["--unseen_environments", "berlin", "--max_length", "64", "--output_dir", str(folder)]
    command += ["--stages", "two", "--algorithms", "erm", "--seeds", "0", "1", "2"]
    print("$", shlex.join(command[1:]), flush=True)
    subprocess.run(command, check=True)


def lines_of(name: str, folder: Path) -> list[dict[str, Any]]:
    """What the command left: a line for each model, and one for what was recommended."""
    found = json.loads((folder / "models" / "results.json").read_text())
    tuned = (folder / "chosen.yaml").is_file()
    chosen = yaml.safe_load((folder / "chosen.yaml").read_text())["algorithms"] if tuned else {}
    lines = [
        {
            "file": name,
            "name": result["name"],
            "seed": result["seed"],
            "test": {site: metrics["accuracy"] for site, metrics in result["test"].items()},
            "settings": chosen.get(result["name"]),
        }
        for result in found
        if all(result["settings"].get(k) == v for k, v in chosen.get(result["name"], {}).items())
    ]
    if not tuned:
        return lines
    text = (folder / "recommendation.md").read_text()
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    best = {}
    for trial in trials:
        unseen = trial["test"]["berlin"]["accuracy"]
        worst = min(metrics["accuracy"] for metrics in trial["validation"].values())
        name_of = trial["settings"]["algorithm"]
        if name_of not in best or min(unseen, worst) > best[name_of]["lower"]:
            best[name_of] = {"lower": min(unseen, worst), "berlin": unseen}
    return [*lines, {"file": name, "recommendation": text.split("\n\n")[1], "oracle": best}]


def table(lines: list[dict[str, Any]]) -> str:
    """Accuracy by site, mean and standard deviation over seeds."""
    header = "| file | | paris | rome | oslo | berlin, unseen | oracle's trial, berlin |"
    shown = [header, "|---|---|" + "---:|" * 5]
    said = []
    for file in dict.fromkeys(line["file"] for line in lines):
        of_file = [line for line in lines if line["file"] == file]
        last = next((line for line in of_file if "recommendation" in line), {"oracle": {}})
        if "recommendation" in last:
            said.append(f"**{file}.** {last['recommendation']}")
        for name in dict.fromkeys(line["name"] for line in of_file if "name" in line):
            tests = [line["test"] for line in of_file if line.get("name") == name]
            cells = [_cell([100 * test[site] for test in tests]) for site in AGREES]
            oracle = f"{100 * last['oracle'][name]['berlin']:.1f}" if name in last["oracle"] else ""
            shown.append(f"| {file} | {name} | {' | '.join(cells)} | {oracle} |")
    return "\n".join(shown) + "\n\n" + "\n\n".join(said)


def _cell(values: list[float]) -> str:
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def picture(file: Path, folder: Path, more: list[str]) -> None:
    """What the command prints at its end, as a terminal shows it: the same command again, which finds all done."""
    words = ["tune", str(file), "--environment_column", "site", "--unseen_environments", "berlin"]
    words += ["--max_length", "64", "--output_dir", str(folder), *more]
    command = [sys.executable, "-m", "hf_metairm", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    lines = done.stdout.replace(f"{folder}/", "outputs/reviews/").splitlines()
    start = next(k for k, line in enumerate(lines) if "Chosen by the rule" in line)
    shown = [line for line in lines[start:] if line.strip() and not line.startswith("Encoding")]
    console = Console(record=True, width=112, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ hf-metairm tune reviews.csv --environment_column site --unseen_environments berlin"))
    console.print(Text("…"))
    console.print(Text("\n".join(shown)))
    console.save_svg(str(OUT / "own_data.svg"), title="hf-metairm tune")


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("outputs/own_data"))
    parser.add_argument("--files", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--tune", default="", help="More words for hf-metairm tune.")
    parser.add_argument("--references", action="store_true", help="Of files without a mark, ERM alone.")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    for name in asked.files:
        file = asked.output / f"{name}.csv"
        make_file(name, file)
        if name.endswith("none") and asked.references:
            train(file, asked.output / name / "models")
        else:
            tune(file, asked.output / name, shlex.split(asked.tune))
        report(asked.output)
        if name == "shortcut":
            picture(file, asked.output / name, shlex.split(asked.tune))


def report(folder: Path) -> None:
    """Write the lines and the table of what is there."""
    there = [name for name in FILES if (folder / name / "models" / "results.json").is_file()]
    lines = [line for name in there for line in lines_of(name, folder / name)]
    (OUT / "own_data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    intro = __doc__.split("\n\n    python")[0].strip() if __doc__ else ""
    text = f"# Own data\n\n{intro} `python benchmarks/own_data.py`; the raw results are in `own_data.jsonl`.\n\n"
    notes = (
        "Accuracy in percent, mean ± standard deviation over three seeds, each with its own division of rows, first "
        "stage and heads. *stage one* is plain fine-tuning, as the first stage leaves it, on two fifths of the rows. "
        "The last column has the trial with the best lower one of worst training accuracy and accuracy in berlin: no "
        "rule for practice."
    )
    (OUT / "own_data.md").write_text(f"{text}{notes}\n\n{table(lines)}\n")


if __name__ == "__main__":
    main()
