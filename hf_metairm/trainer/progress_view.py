"""How the progress of a training looks: as a table, and as a line."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..metrics import Metric


LONGEST_NAME, LONGEST_IN_A_ROW = 22, 60
UNSEEN = " (unseen)"
MOST_IN_A_LINE = 6
BESIDE_A_NAME = 34  # columns of the table that are not the name's
AROUND = 9  # lines that are not environments: steps, loss and σ, worst, the table's frame, and one to spare


@dataclass
class Snapshot:
    """
    What there is to show.

    Args:
        step (`int`), first_step (`int`), steps (`int`): where training is, where it set out, where it will end.
        started (`float`): when, on the monotonic clock.
        loss (`float`, *optional*), gradient_norm (`float`, *optional*): as last logged.
        risks (`dict[str, float]`): by training environment, as last logged.
        sigma (`float`, *optional*), sigma_of (`str`): the standard deviation, and of what.
        metric ([`Metric`]): the metric of the results.
        results (`dict[str, float]`), evaluated_at (`int`): of the last evaluation, by environment; its step.
        unseen (`set[str]`): which of them training does not see.
        evaluating (`tuple[int, int]`, *optional*): batches done and in all while an evaluation runs; 0 in all where
            that is not known.
    """

    step: int = 0
    first_step: int = 0
    steps: int = 0
    started: float = 0.0
    loss: float | None = None
    gradient_norm: float | None = None
    risks: dict[str, float] = field(default_factory=dict)
    sigma: float | None = None
    sigma_of: str = "risks"
    metric: Metric = field(default_factory=lambda: Metric("results"))
    results: dict[str, float] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    evaluated_at: int = 0
    evaluating: tuple[int, int] | None = None

    @property
    def time_left(self) -> str:
        """As hours, minutes and seconds, from the pace so far."""
        done = self.step - self.first_step
        if not done:
            return "?"
        seconds = (time.monotonic() - self.started) / done * (self.steps - self.step)
        return str(timedelta(seconds=round(seconds)))

    def name(self, environment: str, longest: int = LONGEST_NAME) -> str:
        """An environment's name as it is shown: shortened, and marked where training does not see it."""
        return shorten(environment, longest) + UNSEEN * (environment in self.unseen)

    @property
    def worst(self) -> str:
        """Which metric the last evaluation found worst, and where."""
        name = self.metric.worst(self.results)
        return f"worst {self.metric.title} {self.metric.words(self.results[name])} in {self.name(name)}"


def shorten(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that stays on its line and within `longest` characters: where it is cut, its end is kept as well."""
    plain = "".join(c if c.isprintable() else " " for c in name).strip()
    return plain if len(plain) <= longest else f"{plain[: longest - 10]}…{plain[-9:]}"


def line(shown: Snapshot) -> str:
    """A logging as one line."""
    words = [f"step {shown.step}/{shown.steps}", together(shown)]
    if len(shown.risks) <= MOST_IN_A_LINE:
        words += [f"risk {shorten(name)} {risk:.4g}" for name, risk in shown.risks.items()]
    else:
        low, high = (of(shown.risks, key=shown.risks.__getitem__) for of in (min, max))
        words.append(
            f"risks {shown.risks[low]:.4g} ({shorten(low)}) to {shown.risks[high]:.4g} ({shorten(high)}) in "
            f"{len(shown.risks)} environments"
        )
    return "  ".join([*words, f"time left {shown.time_left}"])


def evaluation_lines(shown: Snapshot) -> str:
    """An evaluation as one line; where the environments are many or their names long, with a line for each."""
    metric, results = shown.metric, shown.results
    mean = metric.words(sum(results.values()) / len(results))
    first = f"step {shown.step}/{shown.steps}  evaluation: {shown.worst}, mean {mean}"
    if len(results) <= MOST_IN_A_LINE and max(map(len, results)) <= LONGEST_NAME:
        return "  ".join([first, *(f"{shown.name(name)} {metric.words(value)}" for name, value in results.items())])
    names = {name: shown.name(name, longest=LONGEST_IN_A_ROW) for name in results}
    width = max(map(len, names.values()))
    return "\n".join([first, *(f"  {names[name]:{width}}  {metric.words(results[name])}" for name in results)])


def together(shown: Snapshot) -> str:
    """What concerns all environments together."""
    named = {"loss": shown.loss, f"σ of the {shown.sigma_of}": shown.sigma, "gradient norm": shown.gradient_norm}
    return "  ".join(f"{name} {value:.4g}" for name, value in named.items() if value is not None)


def table(shown: Snapshot, height: int, width: int = 80) -> RenderableType:
    """
    All of it as a table.

    Args:
        shown ([`Snapshot`]): what there is.
        height (`int`): lines of the terminal. Where the environments do not fit, those with the highest risks are
            shown.
        width (`int`, *optional*, defaults to 80): its columns, which decide how much of a long name is shown.
    """
    header = Table.grid(padding=(0, 2), expand=True)
    header.add_column(no_wrap=True)
    header.add_column(ratio=1)
    header.add_column(no_wrap=True)
    bar = ProgressBar(total=max(shown.steps, 1), completed=shown.step)
    header.add_row(f"step {shown.step} of {shown.steps}", bar, f"time left {shown.time_left}")
    parts: list[RenderableType] = [header]
    if shown.loss is not None:
        parts.append(_one_line(together(shown)))
    if shown.evaluating is not None:
        done, total = shown.evaluating
        parts.append(_one_line(f"evaluating, batch {done}" + (f" of {total}" if total else "")))
    elif shown.results:
        parts.append(_one_line(f"{shown.worst}, at step {shown.evaluated_at}"))
    names = list(dict.fromkeys([*shown.risks, *shown.results]))
    if names:
        longest = max(LONGEST_NAME, width - BESIDE_A_NAME - len(UNSEEN) * bool(shown.unseen))
        parts.append(_environments(shown, names, max(height - AROUND, 3), longest))
    return Group(*parts)


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _environments(shown: Snapshot, names: list[str], most: int, longest: int) -> Table:
    kept = names
    if len(names) > most:
        by_risk = sorted(names, key=lambda name: shown.risks.get(name, float("-inf")), reverse=True)
        chosen = set(by_risk[: most - 1])
        kept = [name for name in names if name in chosen]
    environments = Table()
    environments.add_column("environment", no_wrap=True)
    environments.add_column("risk", justify="right", no_wrap=True, min_width=7)
    worst = None
    if shown.results:
        environments.add_column(Text(shown.metric.heading), justify="right", no_wrap=True, min_width=11)
        worst = shown.results[shown.metric.worst(shown.results)]
    for name in kept:
        risk, value = shown.risks.get(name), shown.results.get(name)
        cells: list[RenderableType] = [Text(shown.name(name, longest)), "" if risk is None else f"{risk:.4f}"]
        if shown.results:
            mark = " ←" if value == worst else "  "
            cells.append("" if value is None else f"{shown.metric.number(value)}{mark}")
        environments.add_row(*cells)
    if len(kept) < len(names):
        environments.add_row(Text(f"and {len(names) - len(kept)} of lower risk", style="italic"))
    return environments
