"""Two cues, each reliable where the other is not: what the documentation says that IRMv1, V-REx and σ see of them."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from hf_metairm.algorithms.irmv1 import irm_penalty, scale_gradients
from hf_metairm.algorithms.rex import risk_variance
from hf_metairm.gradients import StdLoss, meta_gradient


# Rows by what the two cues say (1: the label), in the shares that independent flips with p = 0.1 and 0.2 leave.
CUES = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
COUNTS = {"p=0.1": torch.tensor([36, 9, 4, 1]), "p=0.2": torch.tensor([36, 4, 9, 1])}
ROWS = {name: CUES.repeat_interleave(counts, 0) for name, counts in COUNTS.items()}


def logits_and_labels(model, rows):
    margin = model(rows)
    return torch.cat([-margin, margin], 1) / 2, torch.ones(len(rows), dtype=torch.long)


def risk(model, rows):
    return cross_entropy(*logits_and_labels(model, rows))


@pytest.fixture
def erm():
    """The minimum of the mean risk, which both cues share alike: Newton's method for their common weight b."""
    b = torch.zeros((), dtype=torch.float64)
    for _ in range(30):
        # 36 rows with margin 2b, one with −2b, and 13 with none.
        low, high = torch.sigmoid(-2 * b), torch.sigmoid(2 * b)
        b -= (-36 * low + high) / (2 * 37 * low * high)
    model = torch.nn.Linear(2, 1, bias=False).double()
    torch.nn.init.constant_(model.weight, float(b))
    return model


def gradient(model, value):
    return torch.autograd.grad(value, model.weight, retain_graph=True)[0]


def test_no_penalty_sees_crossed_cues_at_the_minimum_of_the_mean_risk(erm):
    risks = torch.stack([risk(erm, rows) for rows in ROWS.values()])
    of_scale = [scale_gradients(*logits_and_labels(erm, rows)).mean(0) for rows in ROWS.values()]
    result = meta_gradient(erm, risk, ROWS, inner_learning_rate=0.1, std_loss=StdLoss(1.0))

    assert gradient(erm, risks.mean()).norm() < 1e-12
    assert irm_penalty(torch.stack(of_scale)) < 1e-24
    assert gradient(erm, risk_variance(risks)).norm() < 1e-12
    assert result.deviation < 1e-12
    # Each environment for itself would still have one cue more and the other less.
    first, second = (gradient(erm, risk(erm, rows)) for rows in ROWS.values())
    assert torch.allclose(first, -second)
    assert first.norm() > 0.05
    # That is what the sum of the meta-losses sees: an inner step makes the other environment's risk larger.
    assert min(result.meta_losses.values()) > risks.max() + 0.5 * 0.1 * first.norm() ** 2
