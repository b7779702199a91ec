"""An evaluation as a picture."""

from __future__ import annotations

from pathlib import Path

from ..cards.dots import Dots, draw_dots
from .result import Evaluation


def draw(evaluation: Evaluation, file: Path) -> None:
    """A dot with its interval for each environment, hollow where training never saw it; lines at mean and chance."""
    name, metric, classes = evaluation.metric.name, evaluation.metric, len(evaluation.labels)
    guessing = {f"guessing among {classes} classes": 1 / classes} if metric.share_of_rows else {}
    checkpoint, dataset = Path(evaluation.checkpoint).name, Path(evaluation.dataset).name
    bars = f"\n(error bars: {100 * evaluation.confidence:.0f} % intervals of Wilson)" if metric.share_of_rows else ""
    dots = Dots(
        metric,
        {e.name: e.metrics[name] for e in evaluation.environments},
        {e.name: e.interval for e in evaluation.environments if e.interval is not None},
        unseen=[e.name for e in evaluation.environments if e.unseen],
        worst=evaluation.worst_environment,
        lines={"mean over environments": evaluation.mean, **guessing},
        title=f"{checkpoint} on {dataset}{bars}",
        column=evaluation.environment_column,
    )
    draw_dots(dots, file)
