"""The meta-IRM objective as it stands, every graph kept: what the library's gradient is checked against."""

from __future__ import annotations

import torch
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel


def reference_gradient(
    model, risk, batches, pairs, *, alpha=0.1, steps=1, std_weight=1.0, sum_weight=1.0, first_order=False
):
    """∇J by one backward pass through Σ R_j(θ'_i) + λσ, and J."""
    theta = {name: p for name, p in model.named_parameters() if p.requires_grad}

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, batch):
            return risk(self.model, batch)

    wrapped = Wrapped()

    def loss_at(parameters, batch):
        return functional_call(wrapped, {f"model.{k}": v for k, v in parameters.items()}, (batch,))

    with sdpa_kernel(SDPBackend.MATH):
        losses = []
        for i, outer in pairs.items():
            adapted = dict(theta)
            for _ in range(steps):
                gradients = torch.autograd.grad(
                    loss_at(adapted, batches[i]), list(adapted.values()), create_graph=True, allow_unused=True
                )
                adapted = {
                    name: value if g is None else value - alpha * (g.detach() if first_order else g)
                    for (name, value), g in zip(adapted.items(), gradients)
                }
            losses += [loss_at(adapted, batches[j]) for j in outer]
        values = torch.stack(losses)
        objective = sum_weight * values.sum()
        if std_weight:
            objective = objective + std_weight * values.std(correction=0)
        gradients = torch.autograd.grad(objective, list(theta.values()), allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, theta.values())], objective.detach()


def relative_error(ours, reference) -> float:
    """‖ours − reference‖ / ‖reference‖ over all parameters together."""
    difference = sum(float(((a - b).detach() ** 2).sum()) for a, b in zip(ours, reference)) ** 0.5
    return difference / sum(float((b.detach() ** 2).sum()) for b in reference) ** 0.5
