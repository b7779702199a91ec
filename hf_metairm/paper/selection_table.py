"""What each rule chose among the trials of a search, and how that does when it is trained anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..experiments.run import Result
from ..experiments.tables import markdown, summarize
from ..selection import MARGIN, RULES, worst_accuracy
from .cells import measured
from .found import Setting, command, setting_of
from .rows import Table
from .runs import choices, searched


SHORT = {
    "learning_rate": "lr",
    "l2_regularization": "L2",
    "penalty_anneal_steps": "anneal",
    "penalty_weight": "weight",
    "inner_learning_rate": "α",
    "std_loss_weight": "λ",
}


def selection(table: Table, results: Sequence[Result]) -> list[str]:
    """A section for each setting that there are trials of, from the results of a table's search."""
    trials: dict[Setting, list[Result]] = defaultdict(list)
    chosen: dict[Setting, list[Result]] = defaultdict(list)
    for result in results:
        (chosen if result["name"].endswith(", chosen") else trials)[setting_of(result)].append(result)
    sections = []
    for setting, found in trials.items():
        again, unseen = chosen[setting], table.environments[-1]
        most = max(_trials(row.name, found) for row in searched(table))
        sections += [
            f"## What each rule chose. {setting}",
            command("search", table, found, again, most),
            f"Random search with the same number of trials for every algorithm, one seed each, and what each rule of "
            f"`hf_metairm.selection` ({', '.join(f'`{name}`' for name in RULES)}) chooses, trained anew "
            f"with other seeds. `invariance` and `calibration` choose among the trials whose validation accuracy in "
            f"the worst training environment is within {100 * MARGIN:.0f} points of the best. Only `oracle` sees "
            f"{unseen.replace('=', ' = ')}.",
            _markdown(table, found, again),
        ]
    return sections


def _markdown(table: Table, trials: Sequence[Result], chosen: Sequence[Result]) -> str:
    unseen, summary, rows = table.environments[-1], summarize(chosen), []
    for (row, rule), trial in choices(table, searched(table), trials).items():
        again = summary.get(f"{trial['name']}, chosen", {})
        rows.append(
            [
                row,
                str(_trials(row, trials)),
                rule,
                f"{100 * worst_accuracy(trial):.1f}",
                *(measured(again[name]) if again else "" for name in table.environments),
                str(again[unseen]["seeds"] if again else 0),
                _hyperparameters(table, trial["settings"]),
            ]
        )
    header = ["", "trials", "rule", "validation, worst", *table.environments, "seeds", "chosen"]
    return markdown(header, rows, left=(0, 2, len(header) - 1))


def _trials(row: str, trials: Sequence[Result]) -> int:
    return sum(result["name"].startswith(f"{row}, trial ") for result in trials)


def _hyperparameters(table: Table, settings: Mapping[str, Any]) -> str:
    own = [f"hidden {settings['hidden_size']}", *(f"{name} {settings[name]}" for name in table.searched)]
    fields = [f"{SHORT[name]} {value:.3g}" for name, value in settings["fields"].items() if name in SHORT]
    return ", ".join([*own, *fields])
