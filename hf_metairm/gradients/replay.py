"""Evaluate the same risk once more as if it had not been: the same dropout masks, batch-norm statistics untouched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Randomness:
    """The state of the random generators now (the CPU's and that of `device`), to be drawn from once more later."""

    def __init__(self, device: torch.device):
        self._device = device
        self._generators = None if device.type == "cpu" else torch.get_device_module(device)
        self._cpu_state = torch.get_rng_state()
        self._device_state = self._generators.get_rng_state(device) if self._generators else None

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Draw from the remembered state; afterwards go on as if nothing had been drawn."""
        now = Randomness(self._device)
        self.restore()
        try:
            yield
        finally:
            now.restore()

    def restore(self) -> None:
        """Go back to the remembered state."""
        torch.set_rng_state(self._cpu_state)
        if self._generators:
            self._generators.set_rng_state(self._device_state, self._device)


@contextmanager
def buffers_kept(module: nn.Module) -> Iterator[None]:
    """Put the module's buffers, such as batch-norm statistics, back on leaving."""
    buffers = list(module.buffers())
    kept = [b.clone() for b in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, kept):
                buffer.copy_(value)
