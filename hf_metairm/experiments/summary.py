"""The table and the picture of a comparison: accuracy by algorithm and environment, with honest error bars."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table


# Distinct in black and white: line and marker differ, not only colour.
STYLES = [("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", "-"), ("P", "--"), ("X", ":")]


def summarize(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """
    By run name and environment: `mean` accuracy over seeds, its `sd` over seeds (0 with one seed), the test set's own
    standard error `se` = √(a(1 − a)/n), and the number of `seeds`; accuracies between 0 and 1.
    """
    grouped: dict[str, dict[str, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for environment, accuracy in result["accuracy"].items():
            grouped[result["name"]][environment].append((accuracy, result["rows"][environment]))
    return {
        name: {environment: _statistics(values) for environment, values in by_environment.items()}
        for name, by_environment in grouped.items()
    }


def _statistics(values: list[tuple[float, int]]) -> dict[str, float]:
    accuracies = [a for a, _ in values]
    mean, rows = fmean(accuracies), values[0][1]
    return {
        "mean": mean,
        "sd": stdev(accuracies) if len(accuracies) > 1 else 0.0,
        "se": math.sqrt(mean * (1 - mean) / rows),
        "seeds": len(accuracies),
        "rows": rows,
    }


def markdown_table(results: Sequence[dict[str, Any]], environments: Sequence[str] | None = None) -> str:
    """The comparison as a Markdown table, in percent; ± is over seeds, or the test set's standard error with one."""
    header, rows = _cells(results, environments)
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def print_table(results: Sequence[dict[str, Any]], environments: Sequence[str] | None = None) -> None:
    """The comparison on the terminal."""
    header, rows = _cells(results, environments)
    table = Table(title="Accuracy by environment, percent", caption=error_bar_note(results))
    for k, name in enumerate(header):
        table.add_column(name, justify="right" if k else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 110).print(table)


def error_bar_note(results: Sequence[dict[str, Any]]) -> str:
    """What the ± in a table stands for."""
    seeds = len({r["seed"] for r in results})
    if seeds > 1:
        return f"mean ± standard deviation over {seeds} seeds"
    return "one seed, ± standard error of the test set"


def _cells(results: Sequence[dict[str, Any]], environments: Sequence[str] | None) -> tuple[list[str], list[list[str]]]:
    summary = summarize(results)
    everything = list(dict.fromkeys(e for by_environment in summary.values() for e in by_environment))
    shown = [e for e in environments or everything if e in everything]
    rows = []
    for name, by_environment in summary.items():
        cells = [_percent(by_environment[e]) if e in by_environment else "" for e in shown]
        rows.append([name, *cells, f"{100 * min(v['mean'] for v in by_environment.values()):.1f}"])
    return ["", *shown, "worst"], rows


def _percent(value: dict[str, float]) -> str:
    error = value["sd"] if value["seeds"] > 1 else value["se"]
    return f"{100 * value['mean']:.1f} ± {100 * error:.1f}"


def draw(results: Sequence[dict[str, Any]], file: Path, title: str) -> None:
    """Accuracy against environment as a picture; against p where the environments are named p=0.1 and so on."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    summary = summarize(results)
    environments = list(next(iter(summary.values())))
    numbers = [re.fullmatch(r"p=([0-9.]+)", e) for e in environments]
    numeric = all(numbers)
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for (name, by_environment), (marker, line) in zip(summary.items(), STYLES * len(summary)):
        xs = [float(m[1]) for m in numbers if m] if numeric else list(range(len(environments)))
        ys = [100 * by_environment[e]["mean"] for e in environments]
        errors = [100 * (v["sd"] if v["seeds"] > 1 else v["se"]) for v in by_environment.values()]
        axes.errorbar(xs, ys, errors, label=name, marker=marker, linestyle=line, capsize=3, markersize=5)
    if numeric:
        axes.set_xlabel("p: probability that the cue contradicts the label")
    else:
        axes.set_xticks(range(len(environments)), environments, rotation=30, ha="right")
        axes.set_xlabel("environment")
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend()
    axes.set_title(f"{title}\n(error bars: {error_bar_note(results)})", fontsize=10)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    plt.close(figure)


def write_summary(
    results: Sequence[dict[str, Any]], folder: Path, title: str, environments: Sequence[str] | None = None
) -> None:
    """`results.json`, `table.md` and `accuracy.png` in `folder`, and the table on the terminal."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(list(results), indent=1))
    table = markdown_table(results, environments)
    (folder / "table.md").write_text(f"{table}\n\n{error_bar_note(results)}\n", encoding="utf-8")
    draw(results, folder / "accuracy.png", title)
    print_table(results, environments)
