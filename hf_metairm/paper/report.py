"""From the results of finished runs to the paper's tables and pictures, beside what others published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..experiments.pictures import Dots, Value, draw_comparison
from ..experiments.run import Result
from ..experiments.store import Store
from ..experiments.tables import all_percents, error_bar_note, markdown, percents, summarize
from ..files import write
from ..selection import MARGIN, RULES, worst_accuracy
from .published import UNSEEN, Published
from .rows import Row, Table
from .runs import choices, run_of, search_file, searched
from .tables import TABLES


# What the runs of one row may differ in; runs that differ in more than the seed never share one.
SETTING = ("batch", "source", "word_vectors")
HEADING = """# The paper's tables

Written by `hf-metairm report` from the lines in `{folder}/`, one for each run. Accuracy in percent: mean ± standard
deviation over the seeds, and in brackets the standard error √(a(1 − a)/n) that the n test rows alone would leave. A
seed draws everything anew: label noise, the cue, initial weights and the order of rows.

**Published results are oracle results**: their hyper-parameters were chosen with the unseen environment (p = 0.9) in
view, as in the IRM experiments' own search. So are the settings of the rows here that are taken from those
experiments, and meta-IRM's, which are ours: the paper's are not published in what we could read. "Selection" has what
is chosen by rules that never see the unseen environment.
"""


def write_report(folder: Path, output: Path) -> list[str]:
    """
    Write the report of the results in `folder` to the Markdown file `output`, and its pictures into `folder`.

    Returns:
        `list[str]`: names of the tables for which there was any result.

    Raises:
        ValueError: there is no result at all.
    """
    store = Store(folder)
    parts, names = [], []
    for table in TABLES.values():
        sections = _sections(table, store.results(table.name), folder, output)
        sections += _selection(table, store.results(search_file(table)))
        if sections:
            names.append(table.name)
            remark = folder / "remarks" / f"{table.name}.md"
            remarks = [remark.read_text(encoding="utf-8").strip()] if remark.is_file() else []
            notes = [table.note] if table.note else []
            parts += [f"## {table.title}", *sections, *notes, *remarks]
    if not names:
        raise ValueError(f"There is no finished run in {folder}: carry some out by `hf-metairm reproduce` first.")
    heading = HEADING.format(folder=_relative(folder, output))
    write(output, "\n\n".join([heading.strip(), *parts]) + "\n")
    return names


def results_of(table: Table, row: Row, results: Sequence[Result]) -> list[Result]:
    """The results of a row as it is defined now, in any setting and of any seed."""
    found = {}
    for result in results:
        settings = result["settings"]
        wanted = run_of(table, row, 0, batch=settings["batch"], source="auto", word_vectors=None).settings
        if _without_setting(settings) == _without_setting(wanted):
            found[_setting(result), settings["seed"]] = result
    return list(found.values())


def _without_setting(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in (*SETTING, "seed")}


def _setting(result: Result) -> tuple[Any, ...]:
    return (str(result["settings"]["batch"]), result["source"], result["settings"]["word_vectors"])


def _sections(table: Table, results: Sequence[Result], folder: Path, output: Path) -> list[str]:
    """A Markdown table and its pictures for each setting that there are results of."""
    by_setting: dict[tuple, list[Result]] = defaultdict(list)
    for row in table.rows:
        for result in results_of(table, row, results):
            by_setting[_setting(result)].append(result)
    sections = []
    for setting, found in sorted(by_setting.items(), key=str, reverse=True):  # Full batch first.
        title, summary = _name_of(setting), summarize(found)
        sections += [f"### {title} (`{table.name}`)", _markdown(table, found)]
        if setting[0] != "full" and (differing := _small_batch_settings(table, found)):
            sections.append(f"Settings that are not the full batch's: {differing}.")
        warned = [f"{result['name']}, seed {result['seed']}: {w}" for result in found for w in result["warnings"]]
        if warned:
            sections.append("Runs that went wrong, counted all the same: " + "; ".join(warned) + ".")
        stem = f"{table.name}_{setting[0]}" + ("" if "bundled" not in str(setting[1]) else "_bundled")
        unseen = table.environments[-1]
        names = [row.name for row in table.rows if row.name in summary]
        series: dict[str, Mapping[str, Value]] = {
            "here": {name: percents(summary[name][unseen]) for name in names},
            "published": {name: values[unseen] for name, values in table.published.items() if unseen in values},
        }
        label = f"accuracy in the unseen environment, {unseen} (%)"
        picture = folder / f"{stem}.png"
        Dots(names, series, f"{table.title}\n{title}", label, lines=table.constants).draw(picture)
        sections.append(f"![Accuracy in the unseen environment]({_relative(picture, output)})")
        if table.curve:
            picture = folder / f"{stem}_over_p.png"
            draw_comparison(all_percents(summary), picture, f"{table.title}\n(error bars: {error_bar_note(found)})")
            sections.append(f"![Accuracy against p]({_relative(picture, output)})")
    return sections


def _name_of(setting: tuple[Any, ...]) -> str:
    batch, source, word_vectors = setting
    text = "Full batch" if batch == "full" else f"Batches of {int(batch):,} rows"
    return f"{text}; {source}" + (f"; word vectors {word_vectors}" if word_vectors else "")


def _markdown(table: Table, results: Sequence[Result]) -> str:
    summary = summarize(results)
    header = ["", *table.environments, "seeds", f"published, {table.environments[-1]}"]
    rows = [[name, *[f"{value:.1f}"] * len(table.environments), "", ""] for name, value in table.constants.items()]
    for row in table.rows:
        if found := summary.get(row.name):
            cells = [_percent(found[name]) for name in table.environments]
            seeds = str(found[table.environments[-1]]["seeds"])
            rows.append([row.name, *cells, seeds, _published(table.published.get(row.name))])
    return markdown(header, rows)


def _small_batch_settings(table: Table, results: Sequence[Result]) -> str:
    there = {result["name"] for result in results}
    return "; ".join(
        f"{row.name} has " + ", ".join(f"{name} {value:g}" for name, value in row.small_batch.items())
        for row in table.rows
        if row.small_batch and row.name in there
    )


def _percent(found: Mapping[str, float]) -> str:
    spread = f" ± {100 * found['sd']:.1f}" if found["seeds"] > 1 else ""
    return f"{100 * found['mean']:.1f}{spread} ({100 * found['se']:.1f})"


def _published(values: Published | None) -> str:
    if not values or UNSEEN not in values:
        return ""
    mean, deviation = values[UNSEEN]
    text = f"{mean:.1f}" + (f" ± {deviation:.1f}" if deviation is not None else "")
    others = [f"{name[2:]}: {value:.1f}" for name, (value, _) in values.items() if name != UNSEEN]
    return text + (f" ({', '.join(others)})" if others else "")


def _selection(table: Table, results: Sequence[Result]) -> list[str]:
    """What each rule chose among the trials of a search, and how that does."""
    trials: dict[tuple, list[Result]] = defaultdict(list)
    chosen: dict[tuple, list[Result]] = defaultdict(list)
    for result in results:
        (chosen if result["name"].endswith(", chosen") else trials)[_setting(result)].append(result)
    sections = []
    for setting, found in trials.items():
        summary, rows = summarize(chosen[setting]), []
        for (row, rule), trial in choices(table, searched(table), found).items():
            again = summary.get(f"{trial['name']}, chosen", {})
            rows.append(
                [
                    row,
                    str(sum(result["name"].startswith(f"{row}, trial ") for result in found)),
                    rule,
                    f"{100 * worst_accuracy(trial):.1f}",
                    *(_percent(again[name]) if again else "" for name in table.environments),
                    str(again[table.environments[-1]]["seeds"] if again else 0),
                    _hyperparameters(trial["settings"]),
                ]
            )
        header = ["", "trials", "rule", "validation, worst", *table.environments, "seeds", "chosen"]
        sections += [
            f"### Selection. {_name_of(setting)} (`{table.name}`)",
            f"Random search with the same number of trials for every algorithm, one seed each, and what each rule of "
            f"`hf_metairm.selection` ({', '.join(f'`{name}`' for name in RULES)}) chooses, trained anew "
            f"with other seeds. `invariance` and `calibration` choose among the trials whose validation accuracy in "
            f"the worst training environment is within {100 * MARGIN:.0f} points of the best. Only `oracle` sees "
            f"p = 0.9.",
            markdown(header, rows, left=(0, 2, len(header) - 1)),
        ]
    return sections


def _hyperparameters(settings: Mapping[str, Any]) -> str:
    short = {
        "learning_rate": "lr",
        "l2_regularization": "L2",
        "penalty_anneal_steps": "anneal",
        "penalty_weight": "weight",
        "inner_learning_rate": "α",
        "std_loss_weight": "λ",
    }
    texts = [f"hidden {settings['hidden_size']}"]
    return ", ".join(
        texts + [f"{short[name]} {value:.3g}" for name, value in settings["fields"].items() if name in short]
    )


def _relative(path: Path, output: Path) -> str:
    try:
        return path.resolve().relative_to(output.resolve().parent).as_posix()
    except ValueError:
        return path.as_posix()
