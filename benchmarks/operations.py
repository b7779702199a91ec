"""
How many operations a step asks of the device; on a GPU each is a launch, which takes its time however small it is.

    python benchmarks/operations.py

Counted in one step of each variant on MiniLM with two environments, as PyTorch dispatches them; what an operation on
all parameters at once does inside is not counted. Writes `docs/benchmarks/operations.json`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from meta_step_settings import SETTINGS, make_batches, make_model
from meta_step_variants import make_step
from torch.utils._python_dispatch import TorchDispatchMode


OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "operations.json"
VARIANTS = ("erm", "first_order", "crossed", "forward", "exact")


class Counting(TorchDispatchMode):
    """Counts the operations within it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count, and do it."""
        self.count += 1
        return function(*args, **(kwargs or {}))


def main() -> None:
    """Count, print and write."""
    setting = dataclasses.replace(SETTINGS["minilm_e2_8x32"], rows=2, tokens=8)  # Their number does not depend on it.
    model, batches = make_model(setting), make_batches(setting)
    found = {}
    for variant in VARIANTS:
        step = make_step(variant, model, batches)
        step()  # What is done once is not counted.
        with Counting() as counting:
            step()
        found[variant] = counting.count
        print(f"{variant}: {counting.count}", flush=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
