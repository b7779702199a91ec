"""The risk as a Trainer computes it: its own `compute_loss`, and what that loss is a mean over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Trainer

from ..gradients import Evaluation


class TrainerRisk:
    """
    `risk(model, inputs)`: the mean loss of collated inputs, in training and out of it, whatever `compute_loss` the
    Trainer has.

    A loss that is normalized by `num_items_in_batch` is given the number of items of these very inputs, and one that
    is not is a mean over them already: either way the risk is their mean.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def __call__(self, model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
        """The mean loss, a scalar."""
        with self._own_rows_only(), self.trainer.compute_loss_context_manager():
            loss = self.trainer.compute_loss(model, dict(inputs), num_items_in_batch=self._num_items(inputs))
        return cast(Tensor, loss)  # Outputs were not asked for; `check_loss` looks at what it is.

    def evaluate(self, model: nn.Module, inputs: Mapping[str, Any]) -> Evaluation:
        """The mean loss with the logits and labels that it was computed from."""
        with self._own_rows_only(), self.trainer.compute_loss_context_manager():
            loss, outputs = self.trainer.compute_loss(
                model, dict(inputs), return_outputs=True, num_items_in_batch=self._num_items(inputs)
            )
        smoothing = float(self.trainer.args.label_smoothing_factor)
        return Evaluation(loss, _logits_of(outputs), inputs.get("labels"), smoothing)

    def items(self, inputs: Mapping[str, Any]) -> Tensor | None:
        """
        How many items the loss of some inputs is a mean over: labels that are not −100. `None` where no label says
        so; the loss is then taken for a mean over rows, of which every part of a batch has equally many.
        """
        counted = self._num_items(inputs)
        if counted is not None:
            return counted.reshape(())
        labels = inputs.get("shift_labels", inputs.get("labels"))
        if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dim() == 0:
            return None
        shifted = getattr(self.trainer, "_loss_shifts_labels", False) and "shift_labels" not in inputs
        return (labels[..., 1:] if shifted else labels).ne(-100).sum()

    def _num_items(self, inputs: Mapping[str, Any]) -> Tensor | None:
        """What the Trainer would pass to the loss for these inputs alone."""
        with self._own_rows_only():
            found = self.trainer._get_num_items_in_batch([inputs], self.trainer.args.device)
        return None if found is None else torch.as_tensor(found)

    @contextmanager
    def _own_rows_only(self) -> Iterator[None]:
        """Without the Trainer's own sum over the processes: the parts of a batch are weighted and added later."""
        args = self.trainer.args
        kept, args.average_tokens_across_devices = args.average_tokens_across_devices, False
        try:
            yield
        finally:
            args.average_tokens_across_devices = kept


def _logits_of(outputs: Any) -> Tensor | None:
    """The first matrix that the model gives, which in a mapping is called `logits`."""
    candidates = [outputs.get("logits")] if isinstance(outputs, Mapping) else list(outputs)
    return next((o for o in candidates if isinstance(o, Tensor) and o.dim() == 2), None)
