"""What a study leaves for people: a table with the recommendation, pictures of the trade, and Optuna's own study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..experiments.pictures import STYLES, pyplot
from ..experiments.run import Result
from ..experiments.tables import markdown
from ..files import replacing, write
from ..selection import left_out_accuracy, spread_of_risk, worst_accuracy, worst_group_accuracy
from ..selection import mean_accuracy as mean
from .recommendation import Recommendation
from .space import as_distributions, quiet_optuna, search_space
from .study import Study
from .trial import fields_of


HEADER = ["", "worst", "mean", "spread of risks", "worse group", "left out", "settings"]
NOTE = (
    "Accuracy in percent on validation rows of the training environments: in the worst of them, mean of them, in the "
    "worse of the two groups of rows (what differs between the environments speaks for or against the label), and in "
    "environments that were left out of training in turn. Spread of risks: their standard deviation, in nats."
)


def cells(study: Study) -> list[list[str]]:
    """The table's rows: what the rule chose of each algorithm."""
    return [
        [
            name,
            *(f"{100 * of(result):.1f}" for of in (worst_accuracy, mean)),
            f"{spread_of_risk(result):.3f}",
            f"{100 * worst_group_accuracy(result):.1f}",
            f"{100 * left_out_accuracy(result):.1f}" if "left_out" in result else "",
            in_words(fields_of(result["settings"])),
        ]
        for name, result in study.chosen.items()
    ]


def in_words(fields: Mapping[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in fields.items())


def print_study(study: Study, rule: str, recommendation: Recommendation) -> None:
    """The table and the recommendation on the terminal."""
    console = Console(width=None if Console().is_terminal else 110)
    shown = Table(title=f"Chosen by the rule {rule}", caption=NOTE)
    for k, name in enumerate(HEADER):
        shown.add_column(escape(name), justify="right" if 0 < k < len(HEADER) - 1 else "left", overflow="fold")
    for row in cells(study):
        shown.add_row(*map(escape, row))
    console.print(shown)
    console.print(f"[bold]{escape(str(recommendation))}[/bold]", highlight=False)


def write_study(study: Study, folder: Path, rule: str, recommendation: Recommendation, saw: str) -> None:
    """
    Write `recommendation.md`, `trade.png`, `trade.html` and `study.db`.

    Args:
        study ([`Study`]): what was found.
        folder (`Path`): where to.
        rule (`str`): its name.
        recommendation ([`Recommendation`]): what to take.
        saw (`str`): a sentence on the rows that the rule saw.
    """
    settings_left = (0, len(HEADER) - 1)
    text = [
        "# What to take",
        str(recommendation),
        f"Chosen by the rule `{rule}`. {saw}",
        markdown(HEADER, cells(study), settings_left),
        NOTE,
        "![Validation accuracy against spread of risks](trade.png)",
    ]
    write(folder / "recommendation.md", "\n\n".join(text) + "\n")
    draw_trade(study, folder / "trade.png")
    with_optuna(study, folder)


def draw_trade(study: Study, file: Path) -> None:
    """Every trial a dot: the spread of risks over accuracy in the worst training environment, the chosen ringed."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(7.0, 4.6), layout="constrained")
    for k, ((name, results), (marker, _)) in enumerate(zip(study.trials.items(), STYLES * len(study.trials))):
        points = [(100 * worst_accuracy(r), max(spread_of_risk(r), 1e-4)) for r in results]
        axes.scatter(*zip(*points), marker=marker, color=f"C{k}", alpha=0.6, s=22, label=name)
        chosen = study.chosen[name]
        place = 100 * worst_accuracy(chosen), max(spread_of_risk(chosen), 1e-4)
        axes.scatter(*place, marker=marker, color=f"C{k}", s=150, edgecolors="black", linewidths=1.5)
        axes.annotate(name, place, xytext=(8, 6), textcoords="offset points", fontsize=8)
    axes.set_yscale("log")
    axes.set_xlabel("validation accuracy in the worst training environment (%)")
    axes.set_ylabel("spread of validation risks (nats)")
    axes.set_title("Every trial; what the rule chose is large", fontsize=10)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    with replacing(file) as new:
        figure.savefig(new, dpi=140, format="png")
    plt.close(figure)


def with_optuna(study: Study, folder: Path) -> None:
    """
    `study.db`, one Optuna study an algorithm, for `optuna-dashboard` and whatever else reads them, and `trade.html`,
    Optuna's pictures of them in one page that needs no network.
    """
    with quiet_optuna():
        with replacing(folder / "study.db") as new:
            studies = {name: _optuna_study(name, results, new) for name, results in study.trials.items()}
            page = _page(studies)
        write(folder / "trade.html", page)


def _optuna_study(name: str, results: list[Result], file: Path) -> Any:
    import optuna

    made = optuna.create_study(
        storage=f"sqlite:///{file}", study_name=name, directions=["maximize", "minimize"], load_if_exists=True
    )
    space = search_space(name)
    if "penalty_anneal_steps" in space:  # It is scaled to the steps of a trial.
        space["penalty_anneal_steps"] = replace(space["penalty_anneal_steps"], low=0)
    distributions = as_distributions(space)
    for result in results:
        values = [worst_accuracy(result), spread_of_risk(result)]
        # Fields that were given have whatever value was wanted, and were not searched.
        params = {
            k: v for k, v in fields_of(result["settings"]).items() if k in space and space[k].low <= v <= space[k].high
        }
        known = {k: v for k, v in distributions.items() if k in params}
        attributes = {"validation": result["validation"], "groups": result["groups"]}
        if all(map(math.isfinite, values)):
            made.add_trial(
                optuna.trial.create_trial(params=params, distributions=known, values=values, user_attrs=attributes)
            )
    return made


def _page(studies: Mapping[str, Any]) -> str:
    from optuna.visualization import plot_pareto_front, plot_slice

    parts, library = [], "inline"
    for name, made in studies.items():
        figures = [plot_pareto_front(made)]
        figures += [plot_slice(made, target=lambda t: t.values[0], target_name="worst accuracy")]
        for figure in figures:
            figure.update_layout(title=f"{name}: {figure.layout.title.text}")
            parts.append(figure.to_html(full_html=False, include_plotlyjs=library or False))
            library = ""
    return f'<!doctype html><meta charset="utf-8"><title>hf-metairm tune</title>{"".join(parts)}'
