"""A table's rows as a picture: ours beside what others published, in the unseen environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

from .experiments import Table


def draw_rows(summary: Mapping[str, Mapping[str, Mapping[str, float]]], table: Table, file: Path, title: str) -> None:
    """
    Mean accuracy of each row in the last environment, with its standard deviation over seeds; open squares are
    published figures, lines what needs no training.

    Args:
        summary (`Mapping`): see `recipes.summary.summarize`.
        table ([`Table`]): of the rows.
        file (`Path`): a PNG.
        title (`str`): above the picture; long lines of it are wrapped.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    environment = table.environments[-1]
    names = [row.name for row in table.rows if row.name in summary]
    figure, axes = plt.subplots(figsize=(6.4, 1.3 + 0.45 * len(names)), layout="constrained")
    for place, name in enumerate(names):
        ours = summary[name][environment]
        axes.errorbar(
            100 * ours["mean"],
            place - 0.12,
            xerr=100 * (ours["sd"] if ours["seeds"] > 1 else ours["se"]),
            fmt="o",
            color="black",
            capsize=3,
            label="here" if place == 0 else None,
        )
        others = table.published.get(name, {}).get(environment)
        if others:
            axes.errorbar(
                others[0],
                place + 0.15,
                xerr=others[1],
                fmt="s",
                color="0.45",
                markerfacecolor="white",
                capsize=3,
                label="published" if name == next((n for n in names if n in table.published), None) else None,
            )
    for (name, value), style in zip(table.constants.items(), (":", "--", "-.")):
        axes.axvline(value, color="0.6", linestyle=style, label=name)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"accuracy in the unseen environment, {environment} (%)")
    axes.grid(axis="x", alpha=0.3)
    # Over the whole picture: long names of rows move the axes to the right.
    figure.suptitle("\n".join(fill(line, 75) for line in title.split("\n")), fontsize=9)
    axes.legend(fontsize=8, loc="best")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=140)
    plt.close(figure)
