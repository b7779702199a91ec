"""The tab of the trade-off: accuracy where a run was trained against accuracy where it was not, a dot for each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ..experiments.pictures import LONGEST_NAME, STYLES, label_of, pyplot
from ..experiments.run import Result
from ..experiments.tables import distinguished
from ..files import replacing
from .html import picture, table


# How the training environments' accuracies are taken together.
SUMMARIES: Mapping[str, Callable[[Sequence[float]], float]] = {"worst": min, "mean": fmean}
MOST_NAMED = 20  # of more runs of different settings the table alone says which is which


@dataclass(frozen=True)
class Point:
    """
    A run.

    Args:
        name (`str`): of the run; those of other seeds have the same.
        seed (`int`): of the run.
        trained (`dict[str, float]`): by the names of [`SUMMARIES`], its accuracy in the training environments.
        unseen (`float`): its accuracy in an environment that it was not trained on.
    """

    name: str
    seed: int
    trained: dict[str, float]
    unseen: float


def unseen_environments(results: Sequence[Result]) -> list[str]:
    """Environments that a run was tested and not trained on, the one with the lowest mean accuracy first."""
    found: dict[str, list[float]] = {}
    for result in results:
        for name in result.get("unseen", ()):
            if name in result["test"] and _trained(result):
                found.setdefault(name, []).append(result["test"][name]["accuracy"])
    return sorted(found, key=lambda name: fmean(found[name]))


def points(results: Sequence[Result], environment: str) -> list[Point]:
    """The runs that were tested in an unseen environment and in training environments."""
    return [
        Point(
            result["name"],
            result["seed"],
            {how: taken_together(_trained(result)) for how, taken_together in SUMMARIES.items()},
            result["test"][environment]["accuracy"],
        )
        for result in distinguished(results)
        if environment in result.get("unseen", ()) and environment in result["test"] and _trained(result)
    ]


def trade_off(results: Sequence[Result], environment: str, how: str) -> tuple[str, str]:
    """
    Picture and table.

    Args:
        results (`Sequence[dict]`): of runs.
        environment (`str`): one of [`unseen_environments`].
        how (`str`): one of [`SUMMARIES`].
    """
    found = points(results, environment)
    drawn = picture(
        lambda file: draw(found, environment, how, file),
        f"Accuracy in {environment} against the {how} accuracy in the training environments, a dot for each run; the "
        "table below has the numbers.",
    )
    header = ["run", "seed", *(f"training, {name}" for name in SUMMARIES), f"{environment} (unseen)"]
    rows = [[p.name, p.seed, *(_percent(p.trained[name]) for name in SUMMARIES), _percent(p.unseen)] for p in found]
    return drawn, table(header, rows, "Every run, accuracy in percent")


def draw(found: Sequence[Point], environment: str, how: str, file: Path) -> None:
    """Write a PNG: accuracy in training environments to the right, that in the unseen one upwards."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(7.2, 5.2), layout="constrained")
    by_name: dict[str, list[Point]] = {}
    for point in found:
        by_name.setdefault(point.name, []).append(point)
    few = len(by_name) <= MOST_NAMED
    for place, ((name, of_name), (marker, _)) in enumerate(zip(by_name.items(), STYLES * len(by_name))):
        label = label_of(name, 60) if few else None
        xs, ys = [100 * p.trained[how] for p in of_name], [100 * p.unseen for p in of_name]
        axes.scatter(xs, ys, marker=marker, color=f"C{place % 10}", s=36, alpha=0.8, label=label)
        for x, y, point in zip(xs, ys, of_name):
            if few:
                axes.annotate(str(point.seed), (x, y), xytext=(5, 3), textcoords="offset points", fontsize=7)
    axes.plot([0, 100], [0, 100], color="0.6", linestyle=":", label="as good where it was not trained")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"accuracy in the training environments, {how} of them (%)")
    axes.set_ylabel(f"accuracy in{label_of(environment)}, unseen (%)")
    which = "the number beside it is its seed" if few else "the table says which is which"
    axes.set_title(f"A dot for each run; {which}", fontsize=10)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=1 if max(map(len, by_name)) > LONGEST_NAME else 3, fontsize=8)
    with replacing(file) as new:
        figure.savefig(new, dpi=140)
    plt.close(figure)


def _trained(result: Result) -> list[float]:
    """The accuracies in the environments that a run was trained on; none where that is not known."""
    if "unseen" not in result:
        return []
    return [part["accuracy"] for name, part in result["test"].items() if name not in result["unseen"]]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"
