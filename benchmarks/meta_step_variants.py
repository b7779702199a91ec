"""What `meta_step.py` compares: a step of ERM, of each kind of ours, and of each peer."""

from __future__ import annotations

from meta_step_settings import INNER_LEARNING_RATE, OURS, PEERS, STD_LOSS_WEIGHT, Batches, Step, risk
from torch import Tensor, nn


def make_step(variant: str, model: nn.Module, batches: Batches) -> Step:
    """The step of a variant: ERM, one of ours, or a peer's."""
    if variant in PEERS:
        import peers

        return peers.STEPS[variant](model, batches, risk, INNER_LEARNING_RATE, STD_LOSS_WEIGHT)
    return _erm(model, batches) if variant == "erm" else _ours(variant, model, batches)


def _erm(model: nn.Module, batches: Batches) -> Step:
    def step() -> list[Tensor]:
        model.zero_grad()
        for batch in batches.values():
            (risk(model, batch) / len(batches)).backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    return step


def _ours(variant: str, model: nn.Module, batches: Batches) -> Step:
    from hf_metairm.gradients import StdLoss, meta_gradient, trainable_parameters

    std_loss = StdLoss(STD_LOSS_WEIGHT)

    def step() -> list[Tensor]:
        model.zero_grad()
        found = meta_gradient(
            model, risk, batches, inner_learning_rate=INNER_LEARNING_RATE, std_loss=std_loss, **OURS[variant]
        )
        for parameter, gradient in zip(trainable_parameters(model), found.gradients):
            parameter.grad = gradient
        return found.gradients

    return step
