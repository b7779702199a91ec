"""The baselines as a plain PyTorch loop with AdamW: what the Trainers are checked against."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy


def plain_loop(model, batches, algorithm, *, lr, weight_decay, l2, weight=1.0, anneal=0, momentum=0.0, step_size=0.01):
    """
    Train `model` in place, one step for each element of `batches`, a list with (x, labels) of every environment.

    Everything stands as its definition does, the IRM penalty by double backward through a dummy scale. As in the
    Trainer, biases do not decay.
    """
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if "bias" not in name], "weight_decay": weight_decay},
        {"params": [p for name, p in named if "bias" in name], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    running, q = 0.0, torch.ones(len(batches[0]), dtype=torch.float64) / len(batches[0])
    for step, environments in enumerate(batches):
        risks, penalties = [], []
        for x, labels in environments:
            logits = model(x)["logits"]
            classes = logits.shape[1]
            scale = torch.ones(1 if classes == 2 else classes, dtype=logits.dtype, requires_grad=True)
            risks.append(cross_entropy(logits * scale, labels))
            if algorithm == "irmv1":
                penalties.append(torch.autograd.grad(risks[-1], scale, create_graph=True)[0].pow(2).sum())
            elif algorithm == "irmv1-halves":
                halves = [cross_entropy(logits[k::2] * scale, labels[k::2]) for k in (0, 1)]
                first, second = (torch.autograd.grad(h, scale, create_graph=True)[0] for h in halves)
                penalties.append((first * second).sum())
        risks = torch.stack(risks)
        running = momentum * running + (1 - momentum) * risks.detach()
        known = running / (1 - momentum ** (step + 1))
        count, w = len(risks), weight if step >= anneal else min(1.0, weight)
        if algorithm == "erm":
            loss, w = risks.mean(), 0.0
        elif algorithm.startswith("irmv1"):
            loss = risks.mean() + w * torch.stack(penalties).mean()
        elif algorithm == "v-rex":
            # d Var / d R_e, at the running means.
            loss = risks.sum() + w * (2 * (known - known.mean()) / count * risks).sum()
        elif algorithm == "mm-rex":
            loss = risks.sum() + w * (risks[known.argmax()] - risks.mean())
        else:
            q = q * torch.exp(step_size * risks.detach())
            q = q / q.sum()
            loss, w = (q * risks).sum(), 0.0
        loss = loss + l2 * sum(p.pow(2).sum() for p in model.parameters())
        optimizer.zero_grad()
        (loss / max(1.0, w)).backward()
        optimizer.step()
    return model
