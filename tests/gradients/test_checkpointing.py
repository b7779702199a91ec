"""θ' stands in the model for the whole of forward, backward and Hessian product: recomputation sees it, too."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hf_metairm.gradients import StdLoss, meta_gradient

from .models import bert_batches, bert_risk, mlp_batches, mlp_risk, small_bert, with_lora
from .reference import relative_error


class Checkpointed(nn.Module):
    """Calls `torch.utils.checkpoint` by itself, and shares a matrix between two layers."""

    def __init__(self, recompute: bool, reentrant: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.entry, self.first, self.second, self.last = (nn.Linear(6, n) for n in (6, 6, 6, 3))
        self.second.weight = self.first.weight
        self.dropout = nn.Dropout(0.3)
        self.recompute, self.reentrant = recompute, reentrant

    def forward(self, x):
        def block(x):
            return torch.tanh(self.second(self.dropout(torch.tanh(self.first(x)))))

        x = self.entry(x)
        if self.recompute:
            return self.last(checkpoint(block, x, use_reentrant=self.reentrant))
        return self.last(block(x))


def gradient(model, risk, batches, **options):
    torch.manual_seed(5)
    return meta_gradient(model, risk, batches, std_loss=StdLoss(2.0), **options).gradients


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("environments", [2, 3])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_a_model_that_checkpoints_by_itself_has_the_same_exact_gradient(steps, environments, micro_batches):
    batches = mlp_batches(environments, rows=6)
    if micro_batches == 2:
        batches = {e: [(x[:3], y[:3]), (x[3:], y[3:])] for e, (x, y) in batches.items()}
    plain, recomputed = (
        gradient(Checkpointed(recompute).double(), mlp_risk, batches, inner_learning_rate=0.7, inner_steps=steps)
        for recompute in (False, True)
    )
    assert relative_error(recomputed, plain) < 1e-12


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
def test_checkpointing_of_transformers_has_the_same_exact_gradient(lora, steps):
    found = []
    for recompute in (False, True):
        model = small_bert().double()
        if recompute:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model = with_lora(model) if lora else model
        found.append(gradient(model, bert_risk, bert_batches(3), inner_learning_rate=0.5, inner_steps=steps))
    assert relative_error(found[1], found[0]) < 1e-8


def test_reentrant_checkpointing_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="finite_difference"):
        meta_gradient(Checkpointed(True, reentrant=True).double(), mlp_risk, mlp_batches(2))
    model = small_bert().double()
    model.gradient_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(ValueError, match="use_reentrant"):
        meta_gradient(model, bert_risk, bert_batches(2))


def test_an_operation_without_a_second_derivative_is_refused_with_the_way_out():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x * 2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, gradient):
            return gradient * 2

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            return Once.apply(torch.tanh(self.layer(x)))

    with pytest.raises(ValueError, match="finite_difference"):
        meta_gradient(Model().double(), mlp_risk, mlp_batches(2))
