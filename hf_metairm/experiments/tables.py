"""Results of runs as tables, on the terminal and in Markdown: accuracy by environment, with honest error bars."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from ..cards.text import table
from ..files import write
from ..names import cell, one_line
from .pictures import draw_comparison
from .run import DIGESTS, Result, key_of


# With more or longer names than these, every environment has a row of its own.
MOST_COLUMNS, LONGEST_HEADER = 6, 60
MAJORITY = "most frequent class"
Summary = dict[str, dict[str, dict[str, float]]]


def summarize(results: Iterable[Result]) -> Summary:
    """
    By run name and environment: `mean` accuracy over seeds, its `sd` over seeds (0 with one seed), the test set's own
    standard error `se` (√(a(1 − a)/n) where a result has none of its own), and the number of `seeds`; accuracies
    between 0 and 1.
    """
    grouped: dict[str, dict[str, list[Mapping[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for environment, found in result["test"].items():
            grouped[result["name"]][environment].append(found)
    return {
        name: {environment: _statistics(found) for environment, found in by_environment.items()}
        for name, by_environment in grouped.items()
    }


def _statistics(found: list[Mapping[str, float]]) -> dict[str, float]:
    accuracies, rows = [f["accuracy"] for f in found], found[0]["rows"]
    mean = fmean(accuracies)
    return {
        "mean": mean,
        "sd": stdev(accuracies) if len(accuracies) > 1 else 0.0,
        "se": fmean(f.get("standard_error", math.sqrt(mean * (1 - mean) / rows)) for f in found),
        "seeds": len(accuracies),
        "rows": rows,
    }


def distinguished(results: Sequence[Result]) -> list[Result]:
    """
    The results, where one name stands for several settings with those in the name that differ. What differs between
    seeds alone, as the rows of data that are drawn with the seed, is no setting.
    """
    drawn = _drawn_with_the_seed(results)
    variants: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for result in results:
        settings = _without(drawn, result)
        variants[result["name"]][key_of(settings)] = settings
    named = []
    for result in results:
        others, own = list(variants[result["name"]].values()), _without(drawn, result)
        keys = dict.fromkeys(key for settings in others for key in settings)
        differing = [key for key in keys if any(s.get(key) != others[0].get(key) for s in others)]
        words = [result["name"], *(f"{key} {own[key]}" for key in differing if key in own)]
        named.append({**result, "name": ", ".join(words)})
    return named


def _drawn_with_the_seed(results: Sequence[Result]) -> set[str]:
    """The seed, and the digests of contents that no two runs of one name and seed have different ones of."""
    found: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for result in results:
        for digest in DIGESTS:
            found[digest, result["name"], result["seed"]].add(str(result["settings"].get(digest)))
    changed = {digest for (digest, _, _), values in found.items() if len(values) > 1}
    return {"seed", *DIGESTS} - changed


def _without(drawn: set[str], result: Result) -> dict[str, Any]:
    return {key: value for key, value in result["settings"].items() if key not in drawn}


def comparison_cells(
    results: Sequence[Result], environments: Sequence[str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """
    Header and rows of a table of results side by side: a row for each name, or, where environments are many or their
    names long, a row for each of them.

    Args:
        results (`Sequence[dict]`): of any runs.
        environments (`Sequence[str]`, *optional*): to show; all by default.
    """
    summary = summarize(results)
    everything = list(dict.fromkeys(e for by_environment in summary.values() for e in by_environment))
    shown = [e for e in environments or everything if e in everything]
    unseen = unseen_in_all(results)
    titles = [f"{e} (unseen)" if e in unseen else e for e in shown]
    rows = [["", *titles, "worst"]]
    for name, found in summary.items():
        cells = [with_error(found[e]) if e in found else "" for e in shown]
        rows.append([name, *cells, f"{100 * min(v['mean'] for v in found.values()):.1f}"])
    if majority := majority_by_environment(results):
        rows.append([MAJORITY, *(f"{100 * majority[e]:.1f}" if e in majority else "" for e in shown), ""])
    if len(shown) > MOST_COLUMNS or sum(map(len, titles)) > LONGEST_HEADER:
        rows = [list(column) for column in zip(*rows)]
        rows[0][0] = "environment"
    return rows[0], rows[1:]


def majority_by_environment(results: Iterable[Result]) -> dict[str, float]:
    """The share of the most frequent class in each environment, where a result knows it."""
    tested = [item for result in results for item in result["test"].items()]
    return {name: found["majority"] for name, found in tested if "majority" in found}


def unseen_in_all(results: Iterable[Result]) -> set[str]:
    """The environments that no run was trained on that was tested on them."""
    unseen = {name for result in results for name in result.get("unseen", ())}
    return unseen - {name for r in results for name in r["test"] if name not in r.get("unseen", ())}


def with_error(found: Mapping[str, float]) -> str:
    """Mean accuracy in percent; ± is over seeds, or the test set's standard error with one."""
    return "{:.1f} ± {:.1f}".format(*percents(found))


def percents(found: Mapping[str, float]) -> tuple[float, float]:
    """Mean accuracy in percent, and its error."""
    return 100 * found["mean"], 100 * (found["sd"] if found["seeds"] > 1 else found["se"])


def all_percents(summary: Summary) -> dict[str, dict[str, tuple[float, float]]]:
    """Those of every name and environment, for a picture."""
    return {name: {e: percents(value) for e, value in found.items()} for name, found in summary.items()}


def notes(results: Sequence[Result]) -> str:
    """What a reader of the table must know: what the ± stands for, and what guessing would get."""
    classes = {found for result in results if (found := result.get("classes"))}
    guessing = [f"guessing among {k} classes is right in {100 / k:.1f} %" for k in sorted(classes)]
    majority = [f"{MAJORITY}: the accuracy of always naming it"] if majority_by_environment(results) else []
    return "; ".join([error_bar_note(results), *guessing, *majority])


def error_bar_note(results: Iterable[Result]) -> str:
    """What the ± in a table stands for."""
    seeds = len({result["seed"] for result in results})
    if seeds > 1:
        return f"mean ± standard deviation over {seeds} seeds"
    return "one seed, ± standard error of the test set"


def markdown_table(results: Sequence[Result], environments: Sequence[str] | None = None) -> str:
    """The comparison as a Markdown table, in percent."""
    return markdown(*comparison_cells(results, environments))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """A Markdown table of any texts; `left` lists the columns that stand to the left."""
    right = [column for column in range(len(header)) if column not in left]
    return table([*map(_cell, header)], [[*map(_cell, row)] for row in rows], right)


def _cell(text: str) -> str:
    """Names from anywhere, so that they stay in their cell and mean nothing in Markdown."""
    return re.sub(r"([\\|`*_<>\[\]#])", r"\\\1", one_line(text))


def print_table(results: Sequence[Result], environments: Sequence[str] | None = None) -> None:
    """The comparison on the terminal."""
    header, rows = comparison_cells(results, environments)
    shown = Table(title="Accuracy by environment, percent", caption=notes(results))
    for k, name in enumerate(header):
        shown.add_column(cell(name), justify="right" if k else "left", overflow="fold")
    for row in rows:
        shown.add_row(*map(cell, row))
    Console(width=None if Console().is_terminal else 110).print(shown)


def write_summary(
    results: Sequence[Result], folder: Path, title: str, environments: Sequence[str] | None = None
) -> None:
    """`results.json`, `table.md` and `accuracy.png` in `folder`, and the table on the terminal."""
    write(folder / "results.json", json.dumps(list(results), indent=1).encode())
    named = distinguished(results)
    text = f"{markdown_table(named, environments)}\n\n{notes(named)}\n"
    write(folder / "table.md", text.encode())
    note = f"{title}\n(error bars: {error_bar_note(named)})"
    draw_comparison(all_percents(summarize(named)), folder / "accuracy.png", note, unseen_in_all(named))
    print_table(named, environments)
