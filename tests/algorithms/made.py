"""A small classifier in float64, rows of three environments, and a risk, for tests of algorithms by themselves."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy, pad

from hf_metairm.algorithms import ALGORITHMS, Step
from hf_metairm.gradients import Evaluation, Part


ROWS = {"a": 8, "b": 12, "c": 6}


class Net(nn.Module):
    """Tanh features and a linear layer; for two classes that has the single output z, and the logits are (0, z)."""

    def __init__(self, classes: int = 3, bias: bool = True):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 5)
        self.act = nn.Tanh()
        self.last = nn.Linear(5, 1 if classes == 2 else classes, bias=bias)
        self.double()

    def features(self, x):
        return self.act(self.first(x))

    def forward(self, x):
        logits = self.last(self.features(x))
        return pad(logits, (1, 0)) if logits.shape[1] == 1 else logits


class RowRisk:
    """The mean cross-entropy of a part's rows."""

    def __init__(self, smoothing: float = 0.0):
        self.smoothing = smoothing

    def __call__(self, model, inputs):
        return self.evaluate(model, inputs).loss

    def evaluate(self, model, inputs):
        x, labels = inputs
        logits = model(x)
        loss = cross_entropy(logits, labels, label_smoothing=self.smoothing)
        return Evaluation(loss, logits, labels, self.smoothing)


def rows(classes: int = 3, seed: int = 1):
    """x and labels of each environment, of which each has its own distribution."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for k, (name, count) in enumerate(ROWS.items()):
        x = (1 + k) * torch.randn(count, 4, generator=generator, dtype=torch.float64) + 0.5 * k
        found[name] = x, torch.randint(classes, (count,), generator=generator)
    return found


def parts(batches, cuts: int = 1):
    """The rows of each environment in so many parts, of unequal size where there are several."""
    found = {}
    for name, (x, labels) in batches.items():
        sizes = [len(x)] if cuts == 1 else [len(x) - 2 * (cuts - 1), *[2] * (cuts - 1)]
        pieces = zip(x.split(sizes), labels.split(sizes))
        found[name] = [Part(piece, len(piece[0]) / len(x), float(len(x))) for piece in pieces]
    return found


def made(name: str, **settings):
    """An algorithm with these settings."""
    cls = ALGORITHMS[name]
    return cls(cls.Settings(**settings), list(ROWS))


def found_by(algorithm, model, batches, *, number: int = 0, cuts: int = 1, smoothing: float = 0.0, scale: float = 1.0):
    """What the algorithm finds for a step."""
    return algorithm.gradient(model, RowRisk(smoothing), parts(batches, cuts), Step(number, 7, scale))
