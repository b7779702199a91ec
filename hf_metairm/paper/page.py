"""A page for a table of the paper: what makes its lines, ours beside the published results, pictures, what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import relpath
from pathlib import Path

from ..cards import text
from ..experiments.pictures import Dots, Value, draw_comparison
from ..experiments.run import Result
from ..experiments.tables import all_percents, error_bar_note, markdown, percents, summarize
from ..files import write
from .cells import interval, measured, plus_minus, reported
from .found import Setting, command
from .published import PEERS, PEERS_NOTE
from .rows import Table
from .selection_table import selection


def write_page(
    table: Table, found: Mapping[Setting, Sequence[Result]], search: Sequence[Result], folder: Path, index: Path
) -> None:
    """
    Write a table's page `<table>.md` and its pictures into the folder of the results.

    Args:
        table ([`Table`]): to write of.
        found (`Mapping`): its results by setting, see [`by_setting`].
        search (`Sequence`): the results of its search.
        folder (`Path`): of the results; in `remarks/<table>.md` there is what differs and why, in
            `notes/<table>.md` the long text on it, where people wrote them.
        index (`Path`): the page that lists the tables.
    """
    parts = [f"# {table.title}", _how_to_read(table, found, relpath(index, folder))]
    for setting, results in found.items():
        parts += _setting(table, setting, results, folder)
    parts += [table.note] if table.note else []
    parts += _differences(table, folder)
    parts += _peers(table)
    parts += selection(table, search)
    parts += _lines(table, folder)
    write(folder / f"{table.name}.md", "\n\n".join(parts) + "\n")


def _how_to_read(table: Table, found: Mapping[Setting, Sequence[Result]], index: str) -> str:
    """What the figures are; where they are expectations, what is a sample in them."""
    tables = f"[all tables, and what the figures are]({index})"
    if not table.expectation:
        return f"Published results are oracle results: {tables}."
    tested = [result["test"].values() for results in found.values() for result in results]
    rows = {values["rows"] for environments in tested for values in environments}
    return (
        f"Among {tables}. A test environment is the expectation over label noise and mark here, so that nothing is "
        f"drawn: the bracket is the standard error over the {' or '.join(map(str, sorted(rows)))} sentences. The "
        f"interval is mean ± 1.96 √(se² + sd²/seeds), for other sentences and other seeds; with few seeds that differ "
        f"much it is a little too narrow. What is published is of another protocol, with environments that are drawn "
        f"and settings chosen in view of the unseen one, and does not compare."
    )


def _setting(table: Table, setting: Setting, results: Sequence[Result], folder: Path) -> list[str]:
    parts = [f"## {setting}", command("reproduce", table, results, results), _markdown(table, results)]
    if setting.batch != "full" and (differing := _small_batch_settings(table, results)):
        parts.append(f"Settings that are not the full batch's: {differing}.")
    warned = [f"{result['name']}, seed {result['seed']}: {w}" for result in results for w in result["warnings"]]
    if warned:
        parts.append("Runs that went wrong, counted all the same: " + "; ".join(warned) + ".")
    return [*parts, *_pictures(table, setting, results, folder)]


def _markdown(table: Table, results: Sequence[Result]) -> str:
    summary, unseen = summarize(results), table.environments[-1]
    header = ["", *table.environments, *([f"95 %, {unseen}"] * table.expectation), "seeds", f"published, {unseen}"]
    rows = []
    for name, value in table.constants.items():
        rows.append([name, *[f"{value:.1f}"] * len(table.environments), *[""] * table.expectation, "", ""])
    for row in table.rows:
        if found := summary.get(row.name):
            cells = [measured(found[name]) for name in table.environments]
            cells += [interval(found[unseen])] * table.expectation
            rows.append([row.name, *cells, str(found[unseen]["seeds"]), reported(table.published.get(row.name))])
    return markdown(header, rows)


def _small_batch_settings(table: Table, results: Sequence[Result]) -> str:
    there = {result["name"] for result in results}
    return "; ".join(
        f"{row.name} has " + ", ".join(f"{name} {value:g}" for name, value in row.small_batch.items())
        for row in table.rows
        if row.small_batch and row.name in there
    )


def _pictures(table: Table, setting: Setting, results: Sequence[Result], folder: Path) -> list[str]:
    summary, unseen = summarize(results), table.environments[-1]
    stem = f"{table.name}_{setting.batch}" + ("_bundled" if "bundled" in setting.source else "")
    names = [row.name for row in table.rows if row.name in summary]
    series: dict[str, Mapping[str, Value]] = {
        "here": {name: percents(summary[name][unseen]) for name in names},
        "published": {name: values[unseen] for name, values in table.published.items() if unseen in values},
    }
    note = f"here: {error_bar_note(results)}"
    label = f"accuracy in the unseen environment, {unseen} (%)"
    shown = {name: values for name, values in series.items() if values}
    Dots(names, shown, f"{table.title}\n{setting}\n{note}", label, lines=table.constants).draw(folder / f"{stem}.png")
    parts = [f"![Accuracy in the unseen environment]({stem}.png)"]
    if table.curve:
        title = f"{table.title}\n(error bars: {error_bar_note(results)})"
        draw_comparison(all_percents(summary), folder / f"{stem}_over_p.png", title)
        parts.append(f"![Accuracy against p]({stem}_over_p.png)")
    return parts


def _differences(table: Table, folder: Path) -> list[str]:
    """What people wrote of this table: briefly on the page itself, at length behind a link."""
    remark, notes = folder / "remarks" / f"{table.name}.md", Path("notes") / f"{table.name}.md"
    parts = [remark.read_text(encoding="utf-8").strip()] if remark.is_file() else []
    parts += [f"[Notes on this table]({notes.as_posix()})"] if (folder / notes).is_file() else []
    title = "## Ours and the published results" if table.published else "## What to make of it"
    return [title, *parts] if parts else []


def _peers(table: Table) -> list[str]:
    """What others published on the same data."""
    peers = PEERS.get(table.name, ())
    if not peers:
        return []
    rows = [
        [peer.method, plus_minus(*peer.training) if peer.training else "", plus_minus(*peer.unseen), peer.paper]
        for peer in peers
    ]
    header = ["", "in training", table.environments[-1], "from"]
    return ["## What others published on the same data", text.table(header, rows, right=(1, 2)), PEERS_NOTE]


def _lines(table: Table, folder: Path) -> list[str]:
    files = [f"{table.name}.jsonl", f"search_{table.name}.jsonl"]
    links = [f"[{name}]({name})" for name in files if (folder / name).is_file()]
    return ["## The lines", f"One line for each run: {', '.join(links)}."]
