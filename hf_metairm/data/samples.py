"""A picture of some rows of every environment, for the card."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np


def draw_samples(splits: datasets.DatasetDict, path: Path, *, per_environment: int = 12) -> None:
    """Draw the first rows of every environment of `train`, and of three test environments, into a PNG file.

    Args:
        splits (`datasets.DatasetDict`): one config's splits.
        path (`Path`): the file.
        per_environment (`int`, *optional*, defaults to `12`): pictures per line; texts: a quarter of it.
    """
    from matplotlib.figure import Figure

    chosen = []
    for split in ("train", "test"):
        names = np.array(splits[split].with_format("arrow")["environment"].to_pylist())
        present = sorted(set(names.tolist()))
        if split == "test":
            present = sorted({present[0], present[len(present) // 2], present[-1]})
        chosen += [(split, name, np.flatnonzero(names == name)) for name in present]
    features = splits["train"].features
    images = "image" in features
    column = next((name for name, feature in features.items() if feature == datasets.Value("string")), "")
    lines = per_environment if images else max(1, per_environment // 4)
    height = 1.1 if images else 0.28 * lines + 0.3
    figure = Figure(figsize=(10, height * len(chosen)), layout="constrained")
    for number, (split, name, rows) in enumerate(chosen):
        axes = figure.add_subplot(len(chosen), 1, number + 1)
        part = splits[split].select(rows[:lines])
        if images:
            labels = part.features["label"].names
            pictures = [np.asarray(row["image"].convert("RGB")) for row in part]
            side = pictures[0].shape[0]
            strip = np.full((side, lines * (side + 1), 3), 255, np.uint8)
            for place, picture in enumerate(pictures):
                strip[:, place * (side + 1) : place * (side + 1) + side] = picture
            axes.imshow(strip, interpolation="nearest")
            axes.set_xticks([i * (side + 1) + side / 2 for i in range(len(part))], [labels[y] for y in part["label"]])
            axes.tick_params(length=0, labelsize=8)
        else:
            labels = part.features["label"].names
            for line, row in enumerate(part):
                text = row[column] if len(row[column]) <= 150 else "… " + row[column][-148:]
                axes.text(
                    0.01, 1 - (line + 0.5) / lines, f"{labels[row['label']]:>8}", size=8, va="center", weight="bold"
                )
                axes.text(0.09, 1 - (line + 0.5) / lines, text.replace("$", r"\$"), size=8, va="center")
            axes.set_xticks([])
        axes.set_yticks([])
        axes.set_frame_on(False)
        axes.set_title(f"{split}, {name}", size=9, loc="left")
    figure.savefig(path, dpi=110)
