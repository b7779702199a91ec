"""What every build must fulfil, checked from its columns alone."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.compute as pc

from hf_metairm.data.coloring import corners, palette
from hf_metairm.data.images import decode_images


def columns(dataset):
    table = dataset.select_columns([n for n in dataset.column_names if n != "image"]).with_format("arrow")[:]
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def within_four_errors(share, expected, n):
    return abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / n) + 1e-12


def check_construction(builder):
    """Cues agree with the label with 1 − p_e, labels are noisy with η, a patch is independent of the colour."""
    config = builder.config
    for split, dataset in builder.as_dataset().items():
        values = columns(dataset)
        wanted = config.test_environments if split == "test" else config.environments
        assert set(values["environment"]) == {f"p={p:g}" for p in wanted}
        for p in wanted:
            rows = values["environment"] == f"p={p:g}"
            label = values["label"][rows]
            n = len(label)
            assert within_four_errors((label != values["clean_label"][rows]).mean(), config.label_noise, n)
            cues = {name: values[name][rows] for name in ("color", "patch") if name in values}
            if values.get("punctuation", [""])[0]:
                cues["punctuation"] = (values["punctuation"][rows] == ".").astype(int)
            crossed = split != "test" and getattr(config, "patch_crossed", False)
            of_patch = wanted[::-1][wanted.index(p)] if crossed else p
            for name, cue in cues.items():
                follows = 1 - (of_patch if name == "patch" else p)
                assert within_four_errors((cue == label).mean(), follows, n), (split, p, name)
            if "patch" in cues and 0 < p < 1:
                for y in set(label):
                    of_label = label == y
                    agree = [(cue == label)[of_label] for cue in (cues["color"], cues["patch"])]
                    assert abs(np.corrcoef(*agree)[0, 1]) <= 4 / math.sqrt(of_label.sum())
        if split == "train":
            turn = np.array([f"p={p:g}" for p in config.environments])
            assert (values["environment"] == np.resize(turn, len(dataset))).all()


def check_images(builder):
    """On all rows: the picture has its digit's colour and no other, and the patch stands in its corner."""
    for dataset in builder.as_dataset().values():
        for start in range(0, len(dataset), 10_000):
            _check_images(dataset.select(range(start, min(start + 10_000, len(dataset)))), builder.config)


def _check_images(dataset, config):
    k = config.num_classes
    values = columns(dataset)
    # The test environments share digits, and equal files need be read but once.
    files = pc.struct_field(dataset.with_format("arrow")[:]["image"].combine_chunks(), "bytes").dictionary_encode()
    pixels = decode_images(files.dictionary)[files.indices.to_numpy()].astype(np.int32)
    grey = pixels.max(axis=3, keepdims=True)
    colors = palette(k)[values["color"]] if "color" in values else np.full((len(pixels), 3), 255)
    assert (np.abs(pixels * 255 - grey * colors[:, None, None, :].astype(np.int32)) <= 127).all()
    assert (grey.reshape(len(grey), -1).max(1) > 0).all()
    if "patch" in values:
        for patch, (lines, places) in enumerate(corners(config.image_size // 7)[:k]):
            lit = (grey[:, lines, places, 0] == 255).all(axis=(1, 2))
            assert (lit == (values["patch"] == patch)).all()


def check_digits(builder):
    """No digit in two splits, each once per split and test environment; the label comes from the digit."""
    splits = {name: columns(dataset) for name, dataset in builder.as_dataset().items()}
    seen = {name: set(values["index"].tolist()) for name, values in splits.items()}
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["validation"]
    assert not seen["validation"] & seen["test"]
    assert max(seen["train"]) < 50_000 <= min(seen["test"])
    assert max(seen["test"]) < 60_000 <= min(seen["validation"])
    assert len(seen["train"]) == len(splits["train"]["index"])
    assert len(seen["test"]) * len(builder.config.test_environments) == len(splits["test"]["index"])
    k = builder.config.num_classes
    for values in splits.values():
        digit = values["digit"]
        assert (values["clean_label"] == (digit < 5 if k == 2 else digit * k // 10)).all()


def check_ideal_classifiers(builder):
    """Two classes: colour alone scores 90 / 80 / 10 (± 1 and sampling), no digit-only classifier more than 75."""
    test = columns(builder.as_dataset("test"))
    for p, accuracy in ((0.1, 0.9), (0.2, 0.8), (0.9, 0.1)):
        rows = test["environment"] == f"p={p:g}"
        reached = (test["color"] == test["label"])[rows].mean()
        assert abs(reached - accuracy) <= max(0.01, 3 * math.sqrt(0.1 / rows.sum()))
        best = sum(np.bincount(test["label"][rows & (test["digit"] == digit)]).max() for digit in range(10))
        assert within_four_errors(best / rows.sum(), 0.75, rows.sum())
