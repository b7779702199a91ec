"""
How far crossed and forward differences are from the exact meta-gradient, and how far they say they are, by α.

    python benchmarks/meta_gradient_error.py

Two environments, λ = 1, float32. For each model of `finite_difference_step.py` and each α the relative error
‖g − g*‖/‖g*‖ over all parameters, with g* from `exact`, and what `measure_error` reports: once as it comes, and once
with central differences as the measure, which is what models beyond ten million parameters get. Writes
`docs/benchmarks/meta_gradient_error.json` and prints a table. Needs the extra `demo`.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from finite_difference_step import MODELS, error, risk

from hf_metairm.gradients import exact, meta_gradient


OUT = Path(__file__).parent.parent / "docs" / "benchmarks" / "meta_gradient_error.json"
ALPHAS = (0.003, 0.01, 0.02, 0.03, 0.1)
KINDS = ("crossed_difference", "finite_difference", "first_order")


def main() -> None:
    """Measure, write, print."""
    small, results = exact.SMALL, []
    for name, (make, risk_) in MODELS.items():
        if "bf16" in name:
            continue
        torch.manual_seed(0)
        model, batches = make()
        model.eval()
        for alpha in ALPHAS:
            options = {"inner_learning_rate": alpha}
            reference = [g.double() for g in meta_gradient(model, risk_, batches, **options).gradients]
            row: dict = {"model": name, "alpha": alpha}
            for kind in KINDS:
                for limit, what in ((small, "reported"), (0, "reported by central differences")):
                    exact.SMALL = limit
                    found = meta_gradient(model, risk, batches, kind=kind, measure_error=True, **options)
                    if found.error is not None:
                        row[f"{kind}, {what}"] = float(found.error)
                row[kind] = error(found.gradients, reference)
            exact.SMALL = small
            results.append(row)
            print(
                *(f"{key} {value:.1e}" if isinstance(value, float) else value for key, value in row.items()), sep="; "
            )
    OUT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
