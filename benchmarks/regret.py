"""
Regret in place of risk, where environments differ in difficulty: V-REx's penalty on R_e − r_e.

    python benchmarks/own_data.py --files noisy --output outputs/own_data
    python benchmarks/regret.py outputs/own_data/noisy/features-*.safetensors

The reference risk r_e is what environment e would have anyway (minimax regret, Agarwal & Zhang 2022): that of a head
that is fitted to its own rows, in five-fold cross-validation, or of one that is fitted to the others' rows. The lines
go to `docs/benchmarks/regret.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hf_metairm.algorithms.base import algorithm
from hf_metairm.algorithms.rex import VREx, risk_variance
from hf_metairm.experiments.two_stages import Features
from hf_metairm.tuning.difference import fit_head
from hf_metairm.tuning.trial import Trial, trial_run


OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "regret.jsonl"
RIDGE, FOLDS, WEIGHTS = 0.1, 5, (3e1, 3e2, 3e3, 3e4)
REFERENCES: dict[str, dict[str, float]] = {"own": {}, "others": {}}


def measure_references(features: Features) -> None:
    """The reference risks of every training environment, in nats."""
    names, x, y = np.array(features.train["environment"]), features.train["features"], features.train["labels"]
    classes = len(features.labels)
    for name in np.unique(names):
        own, others = torch.from_numpy(names == name), torch.from_numpy(names != name)
        fold = torch.arange(int(own.sum())) % FOLDS
        losses = []
        for k in range(FOLDS):
            head = fit_head(x[own][fold != k], y[own][fold != k], classes, RIDGE)
            losses.append(nn.functional.cross_entropy(head(x[own][fold == k]), y[own][fold == k], reduction="none"))
        REFERENCES["own"][str(name)] = float(torch.cat(losses).mean())
        head = fit_head(x[others], y[others], classes, RIDGE)
        REFERENCES["others"][str(name)] = float(nn.functional.cross_entropy(head(x[own]), y[own]))


class Regret(VREx):
    """Σ_e R_e + weight · Var{R_e − r_e}."""

    reference = ""

    def objective(
        self, risks: Tensor, others: Tensor, environments: list[str], shares: Tensor, step: object, logs: dict
    ) -> Tensor:
        """V-REx on regrets."""
        weight, divisor = self.settings.weight_at(step.number)  # type: ignore[attr-defined]
        reference = torch.tensor([REFERENCES[self.reference][name] for name in environments])
        return (risks.sum() + weight * risk_variance(risks - reference)) / divisor


for _name in REFERENCES:
    algorithm(f"v-rex, {_name}")(type(f"Regret{_name.title()}", (Regret,), {"reference": _name}))


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    file = parser.parse_args().features
    features, lines = Features.load(file), []
    measure_references(features)
    for name in ("v-rex", *(f"v-rex, {name}" for name in REFERENCES)):
        for weight in WEIGHTS:
            fields = {"penalty_weight": weight, "penalty_anneal_steps": 60, "l2_regularization": 3e-3}
            run = trial_run(name, fields, features.key, 64, 0)
            with tempfile.TemporaryDirectory() as folder:
                result = Trial(file)(run, Path(folder), lambda step: None)
            kept = {
                part: {k: v["accuracy"] for k, v in result[part].items()} for part in ("validation", "groups", "test")
            }
            lines.append({"algorithm": name, "weight": weight, **kept, "references": REFERENCES})
            print(name, weight, kept, flush=True)
    OUT.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
