"""The picture of a card: each environment's risk over the optimizer steps, and how far the risks are apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import replacing


# Four lines and seven markers: 28 pairs that differ in black and white.
LINES, MARKERS = ("-", "--", ":", "-."), ("o", "s", "^", "D", "v", "P", "X")
MOST_LINES = 12


def draw_curves(history: Sequence[dict[str, Any]], environments: Sequence[str], file: Path) -> bool:
    """
    Draw what a Trainer logged.

    Above the risk of each environment, or of the lowest, the mean and the highest where there are more than a dozen;
    below σ, that of the meta-losses where it was logged, else that of the risks.

    Args:
        history (`Sequence[dict]`): the Trainer's `state.log_history`.
        environments (`Sequence[str]`): names of the training environments.
        file (`Path`): the PNG; what is there is replaced, or removed if nothing was logged.

    Returns:
        `bool`: whether there was something to draw.
    """
    logged = [entry for entry in history if all(f"risk_{name}" in entry for name in environments)]
    if not logged or not environments:
        file.unlink(missing_ok=True)
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    steps = [entry["step"] for entry in logged]
    risks = np.array([[entry[f"risk_{name}"] for entry in logged] for name in environments], dtype=float)
    curves = dict(zip(environments, risks))
    if len(curves) > MOST_LINES:
        curves = {"highest": risks.max(0), "mean of all": risks.mean(0), "lowest": risks.min(0)}
    spread, label = risks.std(0), "σ of the\nrisks (nats)"
    if all("meta_loss_std" in entry for entry in logged):
        spread, label = np.array([entry["meta_loss_std"] for entry in logged]), "σ of the\nmeta-losses (nats)"

    figure, (above, below) = plt.subplots(
        2, 1, figsize=(6.4, 5.6), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    every = max(1, len(steps) // 12)
    for k, (name, values) in enumerate(curves.items()):
        above.plot(
            steps,
            values,
            # A space keeps a name that starts with _ in the legend; a $ is no formula.
            label=" " + name[:40].replace("$", r"\$"),
            linestyle=LINES[k % 4],
            marker=MARKERS[k % 7],
            markevery=every,
            markersize=5,
        )
    below.plot(steps, spread, color="black", marker="o", markevery=every, markersize=4)
    above.set_ylabel("risk (nats)")
    below.set_ylabel(label)
    below.set_ylim(bottom=0)
    below.set_xlabel("optimizer step")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    above.legend(title="training environment", fontsize=9, handlelength=3.5)
    for axes in (above, below):
        axes.grid(alpha=0.3)
    with replacing(file) as new:
        figure.savefig(new, dpi=130)
    plt.close(figure)
    return True
