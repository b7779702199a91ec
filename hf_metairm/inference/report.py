"""What separates inferred environments, as tables on the terminal and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..data.words import check_columns, read_words
from ..experiments.pictures import pyplot
from ..files import replacing
from ..inspection import Inspection
from ..inspection.report import said_p
from ..names import cell, one_line
from .infer import InferredEnvironments


SHOWN, LONGEST = 10, 30


def print_split(found: InferredEnvironments, console: Console) -> None:
    """Rows of both environments, the three accuracies of the test, and warnings."""
    table = Table(title=f"Environments inferred by {found.method}: with and against a reference model")
    for name in ("environment", "rows", "label told from the rest", "chance", "p"):
        table.add_column(name, justify="left" if name == "environment" else "right")
    for name, rows in found.rows.items():
        told = found.held_out.kept.get(name)
        cells = [f"{told.accuracy:.3f}", f"{told.chance:.3f}", said_p(told.p_value)] if told else ["", "", ""]
        table.add_row(name, f"{rows:,}", *cells)
    console.print(table)
    reference = found.held_out.reference
    console.print(
        f"The reference model tells {reference.accuracy:.3f} of the labels rightly on held-out rows (mean over "
        f"classes; chance {reference.chance:.3f}; p: {said_p(reference.p_value)}). The column in the middle is of one "
        "other model, to which what the reference goes by is worth nothing."
    )
    for warning in found.warnings:
        console.print(Text.assemble(("Warning:", "bold yellow"), f" {one_line(warning)}"))


def lengths(dataset: datasets.Dataset, column: str, text_column: str) -> dict[str, np.ndarray]:
    """By environment, the number of words of each text."""
    check_columns(dataset, environment_column=column, text_column=text_column)
    codes, names = read_words(dataset, column)
    words = np.array([len(str(text).split()) for text in dataset[text_column][:]])
    return {name: words[codes == k] for k, name in enumerate(names)}


def draw_split(inspection: Inspection, words: dict[str, np.ndarray], title: str, file: Path) -> None:
    """
    Draw the cues whose strength differs most, a dot for each environment, and how long texts are in each.

    Args:
        inspection ([`Inspection`]): of the rows with their inferred environments.
        words (`dict[str, np.ndarray]`): see [`lengths`]; may be empty.
        title (`str`): above the picture.
        file (`Path`): a PNG.
    """
    plt = pyplot()
    cues = inspection.differing[:SHOWN]
    panels: Any
    figure, panels = plt.subplots(
        2 if words else 1,
        1,
        figsize=(7.2, 1.6 + 0.32 * max(len(cues), 1) + 2.2 * bool(words)),
        height_ratios=[0.6 + 0.32 * max(len(cues), 1), 1.8] if words else [1],
        layout="constrained",
        squeeze=False,
    )
    axes = panels[0][0]
    for share, marker, side in zip(inspection.environments, "os", (-0.12, 0.12)):
        strengths = [cue.strength[share.name] for cue in cues]
        place = np.arange(len(cues)) + side
        label = f"{share.name} ({share.rows:,} rows)"
        axes.plot(
            strengths, place, marker, color="black", markerfacecolor="white" if side > 0 else "black", label=label
        )
    axes.axvline(0, color="0.6", linewidth=1)
    axes.set_yticks(range(len(cues)), [_short(f"{cue.column} {cue.what}") for cue in cues])
    axes.set_ylim(max(len(cues), 1) - 0.5, -0.5)
    axes.set_xlim(-1.05, 1.05)
    axes.set_xlabel("correlation of the cue with the label that it speaks for")
    axes.grid(axis="x", alpha=0.3)
    if not cues:
        axes.text(0, 0, "no cue differs by more than chance", ha="center", va="center")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    if words:
        axes = panels[1][0]
        longest = max(1, int(np.percentile(np.concatenate(list(words.values())), 99)))
        bins = np.arange(0, longest + 2, -(-longest // 30)) - 0.5
        for (name, counts), style in zip(words.items(), ("-", "--")):
            weights = np.full(len(counts), 1 / max(len(counts), 1))
            axes.hist(counts, bins, weights=weights, histtype="step", linestyle=style, color="black", label=name)
        axes.set_xlabel("words of a text (solid: " + ", dashed: ".join(words) + ")")
        axes.set_ylabel("share of rows")
    figure.suptitle(title.replace("$", r"\$"), fontsize=10)
    with replacing(file) as new:
        figure.savefig(new, dpi=140)
    plt.close(figure)


def print_lengths(words: dict[str, np.ndarray], console: Console) -> None:
    """How long texts are in each environment."""
    said = ", ".join(f"{name} {counts.mean():.1f}" for name, counts in words.items())
    console.print(cell(f"Words of a text, mean: {said}."))


def _short(name: str) -> str:
    name = " ".join(name.split())
    return " " + (name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…").replace("$", r"\$")
