"""How the progress of a training looks: as a table, and as a line."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


LONGEST_NAME = 22
MOST_IN_A_LINE = 6
AROUND = 9  # lines that are not environments: steps, figures, worst, the table's frame, and one to spare


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
        accuracies (`dict[str, float]`), evaluated_at (`int`): of the last evaluation, by environment; its step.
        evaluating (`tuple[int, int]`, *optional*): batches done and in all while an evaluation runs.
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
    accuracies: dict[str, float] = field(default_factory=dict)
    evaluated_at: int = 0
    evaluating: tuple[int, int | None] | None = None

    @property
    def time_left(self) -> str:
        """As hours, minutes and seconds, from the pace so far."""
        done = self.step - self.first_step
        if not done:
            return "?"
        seconds = (time.monotonic() - self.started) / done * (self.steps - self.step)
        return str(timedelta(seconds=round(seconds)))

    @property
    def worst(self) -> str:
        """The environment that the last evaluation found worst, and its accuracy."""
        name = min(self.accuracies, key=self.accuracies.__getitem__)
        return f"{100 * self.accuracies[name]:.1f} % in {shorten(name)}"


def shorten(name: str) -> str:
    """A name that stays on its line and within `LONGEST_NAME` characters: where it is cut, its end is kept as well."""
    plain = "".join(c if c.isprintable() else " " for c in name)
    plain = plain.strip()
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 10]}…{plain[-9:]}"


def line(shown: Snapshot, evaluation: bool = False) -> str:
    """A logging, or an evaluation, as one line."""
    words = [f"step {shown.step}/{shown.steps}"]
    if evaluation:
        mean = sum(shown.accuracies.values()) / len(shown.accuracies)
        words.append(f"evaluation: worst accuracy {shown.worst}, mean {100 * mean:.1f} %")
        return "  ".join(words)
    words.append(figures(shown))
    if len(shown.risks) <= MOST_IN_A_LINE:
        words += [f"risk {shorten(name)} {risk:.4g}" for name, risk in shown.risks.items()]
    else:
        low, high = (of(shown.risks, key=shown.risks.__getitem__) for of in (min, max))
        words.append(
            f"risks {shown.risks[low]:.4g} ({shorten(low)}) to {shown.risks[high]:.4g} ({shorten(high)}) in "
            f"{len(shown.risks)} environments"
        )
    return "  ".join([*words, f"time left {shown.time_left}"])


def figures(shown: Snapshot) -> str:
    """What concerns all environments together."""
    named = {"loss": shown.loss, f"σ of the {shown.sigma_of}": shown.sigma, "gradient norm": shown.gradient_norm}
    return "  ".join(f"{name} {value:.4g}" for name, value in named.items() if value is not None)


def table(shown: Snapshot, height: int) -> RenderableType:
    """
    All of it as a table.

    Args:
        shown ([`Snapshot`]): what there is.
        height (`int`): lines of the terminal. Where the environments do not fit, those with the highest risks are
            shown.
    """
    header = Table.grid(padding=(0, 2), expand=True)
    header.add_column(no_wrap=True)
    header.add_column(ratio=1)
    header.add_column(no_wrap=True)
    bar = ProgressBar(total=max(shown.steps, 1), completed=shown.step)
    header.add_row(f"step {shown.step} of {shown.steps}", bar, f"time left {shown.time_left}")
    parts: list[RenderableType] = [header]
    if shown.loss is not None:
        parts.append(_one_line(figures(shown)))
    if shown.evaluating is not None:
        done, total = shown.evaluating
        parts.append(_one_line(f"evaluating, batch {done}" + (f" of {total}" if total else "")))
    elif shown.accuracies:
        parts.append(_one_line(f"worst accuracy {shown.worst}, at step {shown.evaluated_at}"))
    names = list(dict.fromkeys([*shown.risks, *shown.accuracies]))
    if names:
        parts.append(_environments(shown, names, max(height - AROUND, 3)))
    return Group(*parts)


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _environments(shown: Snapshot, names: list[str], most: int) -> Table:
    kept = names
    if len(names) > most:
        by_risk = sorted(names, key=lambda name: shown.risks.get(name, float("-inf")), reverse=True)
        chosen = set(by_risk[: most - 1])
        kept = [name for name in names if name in chosen]
    environments = Table()
    environments.add_column("environment", no_wrap=True)
    environments.add_column("risk", justify="right", no_wrap=True, min_width=7)
    if shown.accuracies:
        environments.add_column("accuracy, %", justify="right", no_wrap=True, min_width=11)
    lowest = min(shown.accuracies.values(), default=None)
    for name in kept:
        risk, accuracy = shown.risks.get(name), shown.accuracies.get(name)
        cells: list[RenderableType] = [Text(shorten(name)), "" if risk is None else f"{risk:.4f}"]
        if shown.accuracies:
            mark = " ←" if accuracy == lowest else "  "
            cells.append("" if accuracy is None else f"{100 * accuracy:.1f}{mark}")
        environments.add_row(*cells)
    if len(kept) < len(names):
        environments.add_row(Text(f"and {len(names) - len(kept)} of lower risk", style="italic"))
    return environments
