"""From the results of finished runs to the paper's tables: a page for each, and an index of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import relpath
from pathlib import Path

from ..cards import text
from ..experiments.run import Result
from ..experiments.store import Store
from ..experiments.tables import Summary, summarize
from ..files import write
from .cells import measured, reported
from .found import Setting, by_setting
from .page import write_page
from .rows import Row, Table
from .runs import search_file
from .tables import DATASETS, TABLES


Found = Mapping[Setting, Sequence[Result]]
# The row that is the paper's own method; among the parts of meta-IRM it is the one with all of them.
OWN = ("meta-irm", "full")
HEADER = ["Table", "Data", "Batch", "meta-IRM", "best baseline", "ERM", "published meta-IRM"]
HEADING = """# The paper's tables

Written by `hf-metairm report` from the lines in `{folder}/`, one for each run. Accuracy in percent in the environment
that no run was trained on, p = 0.9: mean ± standard deviation over the seeds, each of which draws everything anew, and
in brackets the standard error √(a(1 − a)/n) of the n test rows. "Best baseline" is the one that does best there.

**Published results are oracle results**: their hyper-parameters were chosen with the unseen environment in view. So
were ours, except where a page says that a rule chose which never sees it.
"""


def write_report(folder: Path, output: Path) -> list[str]:
    """
    Write a page for each table that there are results of in `folder`, there, and the Markdown file `output`, which
    lists them.

    Returns:
        `list[str]`: names of the tables for which there was any result.

    Raises:
        ValueError: there is no result at all.
    """
    store = Store(folder)
    found: dict[str, Found] = {}
    for table in TABLES.values():
        results, search = by_setting(table, store.results(table.name)), store.results(search_file(table))
        if results or search:
            write_page(table, results, search, folder, output)
            found[table.name] = results
    if not found:
        raise ValueError(f"There is no finished run in {folder}: carry some out by `hf-metairm reproduce` first.")
    near = relpath(folder, output.parent)
    parts = [HEADING.format(folder="." if near == "." else Path(near).as_posix()).strip()]
    for dataset, (title, sentences) in DATASETS.items():
        rows = [_row(TABLES[name], found[name], near) for name in found if TABLES[name].dataset == dataset]
        if rows:
            parts += [f"## {title}", *sentences, text.table(HEADER, rows, right=(3, 4, 5, 6))]
    write(output, "\n\n".join(parts) + "\n")
    return list(found)


def _row(table: Table, found: Found, near: str) -> list[str]:
    """A table at a glance, in the first of its settings, which is the full batch where there is one."""
    setting, results = next(iter(found.items()), (None, []))
    summary, unseen = summarize(results), table.environments[-1]
    baselines = [row for row in table.rows if row.algorithm not in ("erm", "meta-irm") and row.name in summary]
    best = max(baselines, key=lambda row: summary[row.name][unseen]["mean"], default=None)
    own = next((row for row in table.rows if row.name in OWN), None)
    erm = next((row for row in table.rows if row.name == "erm"), None)
    return [
        f"[{table.name}]({Path(near, table.name + '.md').as_posix()})",
        table.title,
        "" if setting is None else setting.batch if setting.batch == "full" else f"{int(setting.batch):,}",
        _cell(own, summary, unseen),
        f"{best.name} {_cell(best, summary, unseen)}" if best else "",
        _cell(erm, summary, unseen),
        reported({unseen: table.published[own.name][unseen]}) if own and own.name in table.published else "",
    ]


def _cell(row: Row | None, summary: Summary, unseen: str) -> str:
    return measured(summary[row.name][unseen]) if row and row.name in summary else ""
