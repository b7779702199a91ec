"""Results by environment as a picture that needs no colour: a dot each, hollow where training never saw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files import replacing
from ..metrics import Metric


LONGEST_NAME = 28
Interval = tuple[float, float]


@dataclass
class Dots:
    """
    What to draw.

    Args:
        metric ([`Metric`]): the metric.
        values (`dict[str, float]`): by environment.
        intervals (`dict[str, tuple[float, float]]`, *optional*): lower and upper end of each error bar.
        unseen (`Sequence[str]`, *optional*): environments that training never saw.
        worst (`str`, *optional*): the one that is marked as the worst.
        baseline (`dict[str, float]`, *optional*): ERM's values.
        lines (`dict[str, float]`, *optional*): values to draw a line at, by what they are, such as chance.
        title (`str`, *optional*), column (`str`, *optional*): what stands above and below.
    """

    metric: Metric
    values: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    unseen: Sequence[str] = ()
    worst: str | None = None
    baseline: Mapping[str, float] = field(default_factory=dict)
    lines: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    column: str = "environment"


def draw_dots(dots: Dots, file: Path) -> None:
    """Draw `dots` into a PNG, a row for each environment, so that many or long names find room."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names, scale = list(dots.values), 100 if dots.metric.share_of_rows else 1
    figure, axes = plt.subplots(figsize=(7.2, min(1.9 + 0.3 * len(names), 40)), layout="constrained")
    for k, name in enumerate(names):
        value, unseen = dots.values[name], name in dots.unseen
        low, high = dots.intervals.get(name, (value, value))
        label = ("unseen in training" if unseen else "seen in training") if dots.unseen else None
        axes.errorbar(
            scale * value,
            k,
            xerr=[[scale * max(value - low, 0)], [scale * max(high - value, 0)]],
            color="black",
            marker="o",
            markerfacecolor="white" if unseen else "black",
            capsize=3,
            linestyle="none",
            label=label,
        )
        if name in dots.baseline:
            axes.plot(scale * dots.baseline[name], k, color="0.35", marker="x", linestyle="none", label="ERM")
    for (label, value), style in zip(dots.lines.items(), ("--", ":", "-.") * len(dots.lines)):
        axes.axvline(scale * value, color="0.4", linestyle=style, linewidth=1, label=label)
    axes.set_yticks(range(len(names)), [_tick(n) + " (worst)" * (n == dots.worst) for n in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    if dots.metric.share_of_rows:
        axes.set_xlim(0, 100)
    axes.set_xlabel(f"{dots.metric.title} (%)" if dots.metric.share_of_rows else dots.metric.title)
    axes.set_ylabel(_tick(dots.column))
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(dots.title.replace("$", r"\$"), fontsize=10)
    once = dict(zip(*reversed(axes.get_legend_handles_labels())))
    if once:
        figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=3, fontsize=8)
    with replacing(file) as new:
        figure.savefig(new, dpi=130)
    plt.close(figure)


def _tick(name: str) -> str:
    """A name in full where it is short, on one line, after a space that keeps a leading _, and with plain dollars."""
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 10]}…{name[-9:]}"
    return " " + name.replace("$", r"\$")
