"""Features with a content and a cue, made on the spot: what an encoder would find in text with a planted mark."""

from __future__ import annotations

import torch

from hf_metairm.data import TensorRows
from hf_metairm.experiments.two_stages import Features


def rows(agreement: dict[str, float], count: int, seed: int, size: int = 6) -> TensorRows:
    """Two features of content, one of the cue, which agrees with the label as often as `agreement` says, and noise."""
    draw = torch.Generator().manual_seed(seed)
    features, labels, names = [], [], []
    for name, share in agreement.items():
        y = torch.randint(0, 2, (count,), generator=draw)
        sign = 2.0 * y - 1
        x = torch.randn(count, size, generator=draw)
        x[:, :2] += 0.7 * sign[:, None]
        agrees = torch.rand(count, generator=draw) < share
        x[:, 2] = torch.where(agrees, sign, -sign) + 0.1 * x[:, 2]
        features.append(x)
        labels.append(y)
        names += [name] * count
    return TensorRows({"features": torch.cat(features), "labels": torch.cat(labels), "environment": names})


def made_features(agreement: dict[str, float], unseen: dict[str, float], count: int = 400, seed: int = 0) -> Features:
    """Of training environments, and of those and unseen ones to test on."""
    train, validation = rows(agreement, count, seed), rows(agreement, count, seed + 1)
    test = rows({**agreement, **unseen}, count, seed + 2)
    size = train["features"].shape[1]
    key = f"{sorted(agreement.items())} {count} {seed}"
    return Features(train, validation, test, torch.zeros(size), torch.ones(size), ["bad", "good"], "tanh", key)
