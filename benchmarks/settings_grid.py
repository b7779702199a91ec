"""
What α, λ and a penalty's weight do: a grid of heads on the features that `hf-metairm tune` left, of SST-2's sentences
with final marks and label noise of 0.25.

    hf-metairm tune punctuated_sst2 --dataset_config long_noise_25 --source SST2 --stage_one_share 0.34 \
        --validation_share 0.16 --stage_one_batch_size 64 --max_length 64 --trials 1 --models false \
        --output_dir outputs/tune_noise_25
    python benchmarks/settings_grid.py outputs/tune_noise_25

The raw results go to `docs/benchmarks/settings_grid.jsonl`, the table to `settings_grid.md`; runs that are there are
kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hf_metairm.experiments.engine import carry_out
from hf_metairm.experiments.run import Result, Run
from hf_metairm.experiments.store import Store
from hf_metairm.experiments.tables import markdown
from hf_metairm.files import write
from hf_metairm.selection import mean_accuracy, spread_of_risk, worst_group_accuracy
from hf_metairm.tuning.trial import Trial


OUT = Path(__file__).parents[1] / "docs" / "benchmarks"
UNSEEN, UNITS = "p=0.9", 64
SHARED = {"learning_rate": 2e-3, "l2_regularization": 1e-4, "max_steps": 300, "penalty_anneal_steps": 60}
GRID = [
    ("meta-irm", {"inner_learning_rate": alpha, "std_loss_weight": weight})
    for alpha in (0.003, 0.01, 0.03, 0.1)
    for weight in (30.0, 300.0, 3000.0)
] + [("v-rex", {"penalty_weight": weight}) for weight in (30.0, 300.0, 3000.0, 30000.0)]
SHORT = {"inner_learning_rate": "α", "std_loss_weight": "λ", "penalty_weight": "weight"}


def grid(features: str) -> list[Run]:
    """The runs, with the settings that [`Trial`] knows."""
    more = {"head_units": UNITS, "seed": 0, "features": features}
    return [Run(name, {"algorithm": name, **SHARED, **fields, **more}, "settings_grid") for name, fields in GRID]


def table(results: list[Result]) -> str:
    """In percent; the spread in nats."""
    header = ["", "validation accuracy", "worse group", "spread of risks", f"unseen, {UNSEEN}"]
    rows = []
    for result in results:
        fields = [
            f"{short} {result['settings'][name]:g}" for name, short in SHORT.items() if name in result["settings"]
        ]
        unseen = result["test"][UNSEEN]["accuracy"]
        rows.append(
            [
                f"{result['name']}, {', '.join(fields)}",
                f"{100 * mean_accuracy(result):.1f}",
                f"{100 * worst_group_accuracy(result):.1f}",
                f"{spread_of_risk(result):.3f}",
                f"{100 * unseen:.1f}",
            ]
        )
    return markdown(header, rows)


def main() -> None:
    """Carry out what is not there yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="what tune left")
    folder = parser.parse_args().folder
    (file,) = folder.glob("features-*.safetensors")
    runs = grid(file.stem.removeprefix("features-"))
    outcome = carry_out(runs, Store(OUT), Trial(folder), shows="validation")
    outcome.check()
    write(OUT / "settings_grid.md", (table(outcome.results) + "\n").encode())


if __name__ == "__main__":
    main()
