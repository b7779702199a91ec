"""Results of runs as pictures that need no colour, black on white wherever they are shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any

from ..files import replacing


# Distinct in black and white: line and marker differ, not only colour.
STYLES = [("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", "-"), ("P", "--"), ("X", ":")]
LONGEST_NAME = 42
MOST_INSIDE = 8  # names in a legend that stands in the picture
# In percent: a mean and, where it is known, the half of its error bar.
Value = tuple[float, float | None]


@dataclass(frozen=True)
class Dots:
    """
    A picture with a row for each of some names, and in it a dot for each series that has a value there.

    Args:
        names (`Sequence[str]`): from top to bottom.
        series (`Mapping[str, Mapping[str, Value]]`): by label and name.
        title (`str`), xlabel (`str`): above and below.
        hollow (`Collection[str]`, *optional*): names whose dots are hollow, which the row says.
        lines (`Mapping[str, float]`, *optional*): by label, values that hold for every row.
    """

    names: Sequence[str]
    series: Mapping[str, Mapping[str, Value]]
    title: str
    xlabel: str = "accuracy (%)"
    hollow: Collection[str] = ()
    lines: Mapping[str, float] = field(default_factory=dict)

    def draw(self, file: Path) -> None:
        """Write a PNG."""
        plt = pyplot()
        height = 1.9 + (0.3 + 0.12 * len(self.series)) * len(self.names)
        figure, axes = plt.subplots(figsize=(7.2, min(height, 40)), layout="constrained")
        for place, ((label, values), (marker, _)) in enumerate(zip(self.series.items(), STYLES * len(self.series))):
            shift = 0.6 * ((place + 0.5) / len(self.series) - 0.5)
            for row, name in enumerate(self.names):
                if name in values:
                    value, error = values[name]
                    axes.errorbar(
                        value,
                        row + shift,
                        xerr=error,
                        color=f"C{place % 10}",
                        marker=marker,
                        markerfacecolor="white" if name in self.hollow else None,
                        linestyle="none",
                        capsize=3,
                        markersize=5,
                        label=label_of(label, 60),
                    )
        for (label, value), style in zip(self.lines.items(), (":", "--", "-.") * len(self.lines)):
            axes.axvline(value, color="0.6", linestyle=style, label=label)
        axes.set_yticks(range(len(self.names)), [label_of(n) + " (unseen)" * (n in self.hollow) for n in self.names])
        axes.set_ylim(len(self.names) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel(self.xlabel)
        axes.grid(axis="x", alpha=0.3)
        # Over the whole picture: long names of rows move the axes to the right.
        figure.suptitle(_plain("\n".join(fill(line, 80) for line in self.title.split("\n"))), fontsize=9)
        once = dict(zip(*reversed(axes.get_legend_handles_labels())))
        figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=2, fontsize=8)
        with replacing(file) as new:
            figure.savefig(new, dpi=140)
        plt.close(figure)


def draw_comparison(
    values: Mapping[str, Mapping[str, Value]], file: Path, title: str, unseen: Collection[str] = ()
) -> None:
    """
    Accuracy in every environment, as dots; over p, which is continuous, where they are named p=0.1 and so on. Dots of
    unseen environments are hollow.

    Args:
        values (`Mapping`): by run name and environment.
        file (`Path`): a PNG.
        title (`str`): above the picture.
        unseen (`Collection[str]`, *optional*): environments that nobody was trained on.
    """
    environments = list(dict.fromkeys(name for found in values.values() for name in found))
    numbers = {name: float(m[1]) for name in environments if (m := re.fullmatch(r"p=(\d*\.?\d+)", name))}
    if len(numbers) < len(environments):
        Dots(environments, values, title, hollow=unseen).draw(file)
        return
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for place, ((name, found), (marker, line)) in enumerate(zip(values.items(), STYLES * len(values))):
        xs = [numbers[environment] for environment in found]
        ys, errors = zip(*found.values())
        color = f"C{place % 10}"
        label = label_of(name, 60)
        axes.errorbar(xs, ys, errors, label=label, color=color, marker=marker, linestyle=line, capsize=3, markersize=5)
        hollow = [(numbers[environment], found[environment][0]) for environment in found if environment in unseen]
        for x, y in hollow:
            axes.plot(x, y, color=color, marker=marker, markerfacecolor="white", markersize=5, zorder=3)
    said = " (hollow: unseen in training)" if unseen else ""
    axes.set_xlabel(f"p: probability that the cue contradicts the label{said}")
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    if len(values) > MOST_INSIDE or max(map(len, values), default=0) > LONGEST_NAME:
        figure.set_figheight(4.2 + 0.2 * len(values))
        figure.legend(loc="outside lower center", fontsize=8)
    else:
        axes.legend()
    axes.set_title(_plain(title), fontsize=10)
    with replacing(file) as new:
        figure.savefig(new, dpi=150)
    plt.close(figure)


def pyplot() -> Any:
    """Matplotlib's, for pictures that go into files."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def label_of(name: str, longest: int = LONGEST_NAME) -> str:
    """A name in full where it is short; after a space, since a leading _ would hide it from the legend."""
    name = " ".join(name.split())
    return " " + _plain(name if len(name) <= longest else f"{name[: longest - 10]}…{name[-9:]}")


def _plain(text: str) -> str:
    """A text whose dollar signs start no formula."""
    return text.replace("$", r"\$")
