"""From the lines of finished runs to the paper's tables and pictures, beside what others published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..experiments.summary import draw, summarize
from .experiments import TABLES, Row, Table
from .jobs import Lines, make_job
from .pictures import draw_rows
from .published import UNSEEN, Figures
from .search import MARGIN, choices, file_of, searched
from .selection import RULES, worst_accuracy


Line = Mapping[str, Any]
# What the runs of one row may differ in; runs that differ in more than the seed never share a row.
SETTING = ("batch", "source", "word_vectors")
HEADING = """# The paper's tables

Written by `hf-metairm report` from the lines in `{folder}/`, one for each run. Accuracy in percent: mean ± standard
deviation over the seeds, and in brackets the standard error √(a(1 − a)/n) that the n test rows alone would leave. A
seed draws everything anew: label noise, the cue, initial weights and the order of rows.

**Published figures are oracle figures**: their hyper-parameters were chosen with the unseen environment (p = 0.9) in
view, as in the IRM experiments' own search. So are the settings of the rows here that are taken from those
experiments, and meta-IRM's, which are ours: the paper's are not published in what we could read. What rules choose
that never see the unseen environment stands under "Selection".
"""


def write_report(folder: Path, output: Path) -> list[str]:
    """
    Write the report of the lines in `folder` to the Markdown file `output`, and its pictures into `folder`.

    Returns:
        `list[str]`: names of the tables for which there was any line.

    Raises:
        ValueError: there is no line at all.
    """
    lines = Lines(folder)
    parts, names = [], []
    for table in TABLES.values():
        sections = _sections(table, lines.read(table.name), folder, output)
        sections += _selection(table, lines, folder)
        if sections:
            names.append(table.name)
            remark = folder / "remarks" / f"{table.name}.md"
            remarks = [remark.read_text(encoding="utf-8").strip()] if remark.is_file() else []
            notes = [table.note] if table.note else []
            parts += [f"## {table.title}", *sections, *notes, *remarks]
    if not names:
        raise ValueError(f"There is no finished run in {folder}: carry some out by `hf-metairm reproduce` first.")
    output.parent.mkdir(parents=True, exist_ok=True)
    heading = HEADING.format(folder=_relative(folder, output))
    output.write_text("\n\n".join([heading.strip(), *parts]) + "\n", encoding="utf-8")
    return names


def lines_of(table: Table, row: Row, lines: Sequence[Line]) -> list[Line]:
    """The lines of a row as it is defined now, in any setting and of any seed."""
    found = {}
    for line in lines:
        wanted = make_job(table, row, 0, batch=line["config"]["batch"], source="auto", word_vectors=None).config
        if _without_setting(line["config"]) == _without_setting(wanted):
            found[_setting(line), line["config"]["seed"]] = line
    return list(found.values())


def _without_setting(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in (*SETTING, "seed")}


def _setting(line: Line) -> tuple[Any, ...]:
    return (str(line["config"]["batch"]), line["source"], line["config"]["word_vectors"])


def _sections(table: Table, lines: Sequence[Line], folder: Path, output: Path) -> list[str]:
    """A Markdown table and its pictures for each setting that there are lines of."""
    by_setting: dict[tuple, list[Line]] = defaultdict(list)
    for row in table.rows:
        for line in lines_of(table, row, lines):
            by_setting[_setting(line)].append(line)
    sections = []
    for setting, found in sorted(by_setting.items(), key=str, reverse=True):  # Full batch first.
        sections.append(f"### {_name_of(setting)}")
        sections.append(_markdown(table, found))
        if setting[0] != "full" and (differing := _small_batch_settings(table, found)):
            sections.append(f"Settings that are not the full batch's: {differing}.")
        warned = [
            f"{line['config']['row']}, seed {line['config']['seed']}: {w}" for line in found for w in line["warnings"]
        ]
        if warned:
            sections.append("Runs that went wrong, counted all the same: " + "; ".join(warned) + ".")
        stem = f"{table.name}_{setting[0]}" + ("" if "bundled" not in str(setting[1]) else "_bundled")
        results = [_result(line) for line in found]
        draw_rows(summarize(results), table, folder / f"{stem}.png", f"{table.title}\n{_name_of(setting)}")
        sections.append(f"![Accuracy in the unseen environment]({_relative(folder / f'{stem}.png', output)})")
        if table.curve:
            draw(results, folder / f"{stem}_over_p.png", table.title)
            sections.append(f"![Accuracy against p]({_relative(folder / f'{stem}_over_p.png', output)})")
    return sections


def _name_of(setting: tuple[Any, ...]) -> str:
    batch, source, word_vectors = setting
    text = "Full batch" if batch == "full" else f"Batches of {int(batch):,} rows"
    return f"{text}; {source}" + (f"; word vectors {word_vectors}" if word_vectors else "")


def _result(line: Line) -> dict[str, Any]:
    """A line as `recipes.summary` takes it."""
    return {
        "name": line["config"]["row"],
        "seed": line["config"]["seed"],
        "accuracy": {name: found["accuracy"] for name, found in line["test"].items()},
        "rows": {name: found["rows"] for name, found in line["test"].items()},
    }


def _markdown(table: Table, lines: Sequence[Line]) -> str:
    summary = summarize([_result(line) for line in lines])
    header = ["", *table.environments, "seeds", f"published, {table.environments[-1]}"]
    rows = [[name, *[f"{value:.1f}"] * len(table.environments), "", ""] for name, value in table.constants.items()]
    for row in table.rows:
        if row.name not in summary:
            continue
        found = summary[row.name]
        cells = [_percent(found[name]) for name in table.environments]
        seeds = str(found[table.environments[-1]]["seeds"])
        rows.append([row.name, *cells, seeds, _published(table.published.get(row.name))])
    lines_of_table = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines_of_table)


def _small_batch_settings(table: Table, lines: Sequence[Line]) -> str:
    there = {line["config"]["row"] for line in lines}
    return "; ".join(
        f"{row.name} has " + ", ".join(f"{name} {value:g}" for name, value in row.small_batch.items())
        for row in table.rows
        if row.small_batch and row.name in there
    )


def _percent(found: Mapping[str, float]) -> str:
    spread = f" ± {100 * found['sd']:.1f}" if found["seeds"] > 1 else ""
    return f"{100 * found['mean']:.1f}{spread} ({100 * found['se']:.1f})"


def _published(figures: Figures | None) -> str:
    if not figures or UNSEEN not in figures:
        return ""
    mean, deviation = figures[UNSEEN]
    text = f"{mean:.1f}" + (f" ± {deviation:.1f}" if deviation is not None else "")
    others = [f"{name[2:]}: {value:.1f}" for name, (value, _) in figures.items() if name != UNSEEN]
    return text + (f" ({', '.join(others)})" if others else "")


def _selection(table: Table, all_lines: Lines, folder: Path) -> list[str]:
    """What each rule chose among the trials of a search, and how that does."""
    lines = all_lines.read(file_of(table))
    trials: dict[tuple, list[Line]] = defaultdict(list)
    chosen: dict[tuple, dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line["config"]["row"].endswith(", chosen"):
            chosen[_setting(line)][line["config"]["row"]].append(line)
        else:
            trials[_setting(line)].append(line)
    rows = searched(table)
    sections = []
    for setting, found in trials.items():
        header = ["", "trials", "rule", "validation, worst", *table.environments, "seeds", "chosen"]
        cells = []
        for (row, rule), trial in choices(table, rows, found).items():
            name = trial["config"]["row"]
            again = chosen[setting].get(f"{name}, chosen", [])
            summary = summarize([_result(line) for line in again]).get(f"{name}, chosen", {})
            count = sum(line["config"]["row"].startswith(f"{row}, trial ") for line in found)
            cells.append(
                [
                    row,
                    str(count),
                    rule,
                    f"{100 * worst_accuracy(trial):.1f}",
                    *(_percent(summary[e]) if summary else "" for e in table.environments),
                    str(len(again)),
                    _hyperparameters(trial["config"]),
                ]
            )
        table_lines = [header, ["---", "---:", "---"] + ["---:"] * (len(header) - 4) + ["---"], *cells]
        sections += [
            f"### Selection. {_name_of(setting)}",
            f"Random search with the same number of trials for every algorithm, one seed each, and what each rule of "
            f"`hf_metairm.paper.selection` ({', '.join(f'`{name}`' for name in RULES)}) chooses, trained anew "
            f"with other seeds. `invariance` and `calibration` choose among the trials whose validation accuracy in "
            f"the worst training environment is within {100 * MARGIN:.0f} points of the best. Only `oracle` sees "
            f"p = 0.9.",
            "\n".join("| " + " | ".join(line) + " |" for line in table_lines),
        ]
    return sections


def _hyperparameters(config: Mapping[str, Any]) -> str:
    short = {
        "learning_rate": "lr",
        "l2_regularization": "L2",
        "penalty_anneal_steps": "anneal",
        "penalty_weight": "weight",
        "inner_learning_rate": "α",
        "std_loss_weight": "λ",
    }
    texts = [f"hidden {config['hidden_size']}"]
    return ", ".join(
        texts + [f"{short[name]} {value:.3g}" for name, value in config["fields"].items() if name in short]
    )


def _relative(path: Path, output: Path) -> str:
    try:
        return path.resolve().relative_to(output.resolve().parent).as_posix()
    except ValueError:
        return path.as_posix()
