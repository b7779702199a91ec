"""The tab of accuracy by environment: the table and the picture that `train` makes, seeds averaged."""

from __future__ import annotations

from collections.abc import Sequence

from ..experiments.pictures import draw_comparison
from ..experiments.run import Result
from ..experiments.tables import (
    all_percents,
    comparison_cells,
    distinguished,
    error_bar_note,
    notes,
    summarize,
    unseen_in_all,
)
from ..ordering import listed
from .html import paragraph, picture, table


CAPTION = "Accuracy by environment, percent"
MOST_DRAWN = 14  # names in one picture


def accuracy(results: Sequence[Result]) -> tuple[str, str]:
    """
    Picture and table of some results.

    Args:
        results (`Sequence[dict]`): of runs, several of one name and other seeds being averaged.
    """
    named = distinguished(results)
    unseen = unseen_in_all(named)
    title = f"{CAPTION}\n(error bars: {error_bar_note(named)})"
    values = all_percents(summarize(named))
    if len(values) > MOST_DRAWN:
        drawn = paragraph(f"These are {len(values)} runs of different settings: too many lines for one picture.")
    else:
        drawn = picture(
            lambda file: draw_comparison(values, file, title, unseen),
            "Accuracy of every run in every environment; the table below has the numbers.",
        )
    held_out = [f"Unseen: no run was trained on {listed(unseen)}."] if unseen else []
    return drawn, table(*comparison_cells(named), CAPTION) + paragraph(_sentence(notes(named)), *held_out)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
