"""Results of runs as pictures that need no colour, black on white wherever they are shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any


# Distinct in black and white: line and marker differ, not only colour.
STYLES = [("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", "-"), ("P", "--"), ("X", ":")]
LONGEST_NAME = 28
Found = Mapping[str, float]  # `mean`, `sd`, `se` and `seeds`, see `tables.summarize`.


@contextmanager
def _picture(file: Path, width: float, height: float, dpi: int) -> Iterator[tuple[Any, Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(width, min(height, 40)), layout="constrained")
    try:
        yield figure, axes
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=dpi)
    finally:
        plt.close(figure)


def draw_comparison(
    summary: Mapping[str, Mapping[str, Found]], file: Path, title: str, unseen: Collection[str] = ()
) -> None:
    """
    Accuracy in every environment: over p where the environments are named p=0.1 and so on, else as dots.

    Args:
        summary (`Mapping`): by name and environment, see [`summarize`].
        file (`Path`): a PNG.
        title (`str`): above the picture.
        unseen (`Collection[str]`, *optional*): environments that nobody was trained on; they are drawn hollow.
    """
    environments = list(dict.fromkeys(name for found in summary.values() for name in found))
    numbers = {name: float(m[1]) for name in environments if (m := re.fullmatch(r"p=(\d*\.?\d+)", name))}
    if len(numbers) == len(environments):
        _draw_over_p(summary, numbers, file, title)
        return
    room = 0.3 + 0.14 * len(summary)
    with _picture(file, 7.2, 1.9 + room * len(environments), 150) as (figure, axes):
        for place, (name, (marker, _)) in enumerate(zip(summary, STYLES * len(summary))):
            shift = 0.6 * ((place + 0.5) / len(summary) - 0.5)
            for row, environment in enumerate(environments):
                if environment not in summary[name]:
                    continue
                found = summary[name][environment]
                axes.errorbar(
                    100 * found["mean"],
                    row + shift,
                    xerr=100 * _error(found),
                    color=f"C{place % 10}",
                    marker=marker,
                    markerfacecolor="white" if environment in unseen else None,
                    linestyle="none",
                    capsize=3,
                    markersize=5,
                    label=_short(name, 60),
                )
        ticks = [_short(name) + " (unseen)" * (name in unseen) for name in environments]
        axes.set_yticks(range(len(environments)), ticks)
        axes.set_ylim(len(environments) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("accuracy (%)")
        axes.grid(axis="x", alpha=0.3)
        axes.set_title(_plain(title), fontsize=10)
        once = dict(zip(*reversed(axes.get_legend_handles_labels())))
        figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=2, fontsize=8)


def _draw_over_p(
    summary: Mapping[str, Mapping[str, Found]], numbers: Mapping[str, float], file: Path, title: str
) -> None:
    """Accuracy over p, which is continuous: the only picture with lines."""
    with _picture(file, 6.4, 4.2, 150) as (_, axes):
        for (name, by_environment), (marker, line) in zip(summary.items(), STYLES * len(summary)):
            xs = [numbers[environment] for environment in by_environment]
            ys = [100 * found["mean"] for found in by_environment.values()]
            errors = [100 * _error(found) for found in by_environment.values()]
            axes.errorbar(xs, ys, errors, label=name, marker=marker, linestyle=line, capsize=3, markersize=5)
        axes.set_xlabel("p: probability that the cue contradicts the label")
        axes.set_ylabel("accuracy (%)")
        axes.set_ylim(0, 100)
        axes.grid(alpha=0.3)
        axes.legend()
        axes.set_title(_plain(title), fontsize=10)


def draw_rows(
    rows: Mapping[str, Found],
    file: Path,
    title: str,
    environment: str,
    published: Mapping[str, tuple[float, float | None]],
    constants: Mapping[str, float],
) -> None:
    """
    The rows of a table in one environment, with their standard deviation over seeds, beside what others published.

    Args:
        rows (`Mapping`): by name, see [`summarize`].
        file (`Path`): a PNG.
        title (`str`): above the picture; long lines of it are wrapped.
        environment (`str`): which one.
        published (`Mapping`): by name, mean and standard deviation in percent: open squares.
        constants (`Mapping[str, float]`): percents that need no training: lines.
    """
    with _picture(file, 6.4, 1.3 + 0.45 * len(rows), 140) as (figure, axes):
        for place, (name, found) in enumerate(rows.items()):
            axes.errorbar(
                100 * found["mean"],
                place - 0.12,
                xerr=100 * _error(found),
                fmt="o",
                color="black",
                capsize=3,
                label="here" if place == 0 else None,
            )
            if name in published:
                axes.errorbar(
                    published[name][0],
                    place + 0.15,
                    xerr=published[name][1],
                    fmt="s",
                    color="0.45",
                    markerfacecolor="white",
                    capsize=3,
                    label="published" if name == next(n for n in rows if n in published) else None,
                )
        for (name, value), style in zip(constants.items(), (":", "--", "-.")):
            axes.axvline(value, color="0.6", linestyle=style, label=name)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"accuracy in the unseen environment, {environment} (%)")
        axes.grid(axis="x", alpha=0.3)
        # Over the whole picture: long names of rows move the axes to the right.
        figure.suptitle("\n".join(fill(line, 75) for line in title.split("\n")), fontsize=9)
        axes.legend(fontsize=8, loc="best")


def _error(found: Found) -> float:
    return found["sd"] if found["seeds"] > 1 else found["se"]


def _short(name: str, longest: int = LONGEST_NAME) -> str:
    """A name in full where it is short; after a space, since a leading _ would hide it from the legend."""
    name = " ".join(name.split())
    return " " + _plain(name if len(name) <= longest else f"{name[: longest - 10]}…{name[-9:]}")


def _plain(text: str) -> str:
    """A text whose dollar signs start no formula."""
    return text.replace("$", r"\$")
