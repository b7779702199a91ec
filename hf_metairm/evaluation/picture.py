"""Accuracy in each environment as a picture that needs no colour."""

from __future__ import annotations

from pathlib import Path

from .result import Evaluation


LONGEST_NAME = 28


def draw(evaluation: Evaluation, file: Path) -> None:
    """A point with its interval for each environment, the worst one hollow; lines at the mean and at chance."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    environments = evaluation.environments
    width = min(max(6.4, 1.5 + 0.35 * len(environments)), 24)
    figure, axes = plt.subplots(figsize=(width, 4.4), layout="constrained")
    for k, environment in enumerate(environments):
        low, high = environment.interval
        accuracy, worst = environment.accuracy, environment.name == evaluation.worst_environment
        axes.errorbar(
            k,
            100 * accuracy,
            [[100 * max(accuracy - low, 0)], [100 * max(high - accuracy, 0)]],
            color="black",
            marker="s" if worst else "o",
            markerfacecolor="white" if worst else "black",
            capsize=4,
            linestyle="none",
            label="worst environment" if worst else None,
        )
    axes.axhline(
        100 * evaluation.mean_accuracy, color="black", linestyle="--", linewidth=1, label="mean over environments"
    )
    chance = 100 / len(evaluation.labels)
    axes.axhline(
        chance, color="0.5", linestyle=":", linewidth=1, label=f"guessing among {len(evaluation.labels)} classes"
    )
    axes.set_xticks(range(len(environments)), [_tick(e.name) for e in environments], rotation=30, ha="right")
    axes.set_xlim(-0.6, len(environments) - 0.4)
    axes.set_ylim(0, 100)
    axes.set_xlabel(_tick(evaluation.environment_column))
    axes.set_ylabel("accuracy (%)")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="best")
    axes.set_title(
        f"{_tick(Path(evaluation.checkpoint).name)} on {_tick(Path(evaluation.dataset).name)}\n"
        f"(error bars: {100 * evaluation.confidence:.0f} % intervals, bootstrap over rows)",
        fontsize=10,
    )
    figure.savefig(file, dpi=150)
    plt.close(figure)


def _tick(name: str) -> str:
    """A name in full where it is short, and with dollar signs that start no formula."""
    name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    return name.replace("$", r"\$")
