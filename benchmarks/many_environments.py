"""
What many environments cost, and what becomes of the accuracy where only one outer environment is drawn for each.

    python benchmarks/many_environments.py [--time_steps N] [--steps N] [--seeds 0 1 2] [--source hub]

Seconds of a step of the Colored MNIST perceptron at E = 4, 16 and 64 with the same number of rows for each
environment, and the accuracy of a training with 16 environments (p from 0.05 to 0.25) at p = 0.1, 0.2 and 0.9:
ERM, meta-IRM with the settings of the README's ten lines and all pairs, and with one outer environment drawn for
each inner one (`outer_environments=1`), with σ's gradient from the drawn losses or from their running means
(`std_loss_momentum`), which is what LightMIRM does (ICDE 2023). Each result is a line of
`docs/benchmarks/many_environments.jsonl`; what is there is not measured again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, set_seed

from hf_metairm.data import ColoredMNIST
from hf_metairm.models import ColoredMNISTClassifier, ColoredMNISTConfig
from hf_metairm.trainer import ALGORITHMS


OUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "many_environments.jsonl"
DRAWN = {"outer_environments": "1"}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "erm": ("erm", {}),
    "all pairs": ("meta-irm", {}),
    "one drawn": ("meta-irm", DRAWN),
    "one drawn, running means": ("meta-irm", {**DRAWN, "std_loss_momentum": 0.9}),
    # Crossed differences want a small inner step.
    "one drawn, crossed": (
        "meta-irm",
        {**DRAWN, "meta_gradient": "crossed_difference", "inner_learning_rate": 0.02},
    ),
}
TESTED = ("p=0.1", "p=0.2", "p=0.9")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--environments", type=int, nargs="+", default=[4, 16, 64], help="E of the timed steps")
    parser.add_argument("--rows", type=int, default=100, help="of each environment in a timed step")
    parser.add_argument("--time_steps", type=int, default=7, help="timed steps, after one to warm up")
    parser.add_argument(
        "--steps", type=int, default=300, help="of the trainings whose accuracy is measured; 0 for none"
    )
    parser.add_argument("--train_environments", type=int, default=16)
    parser.add_argument("--inner_learning_rate", type=float, default=0.1)
    parser.add_argument("--std_loss_weight", type=float, default=100.0)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--l2_regularization", type=float, default=0.01)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--source", default="auto")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--output", type=Path, default=OUT)
    return parser.parse_args()


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self):
        self.ends: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Note the time."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def train(
    variant: str, args: argparse.Namespace, environments: int, rows: int | None, steps: int, seed: int
) -> dict[str, Any]:
    """Train with that many environments, and return the seconds of a step and the accuracy in those unseen."""
    name, fields = VARIANTS[variant]
    p = tuple(round(float(value), 4) for value in np.linspace(0.05, 0.25, environments))
    builder = ColoredMNIST("binary", source=args.source, seed=seed, environments=p, examples_per_environment=rows)
    builder.download_and_prepare()
    data, test = builder.as_tensors("train"), builder.as_tensors("test", environments=TESTED)
    trainer_class, config_class = ALGORITHMS[name]
    if name == "meta-irm":
        fields = {
            "inner_learning_rate": args.inner_learning_rate,
            "std_loss_weight": args.std_loss_weight,
            "penalty_anneal_steps": steps // 3,
            "meta_loss_reduction": "mean",
            "meta_gradient_check_steps": 0,
            **fields,
        }
    set_seed(seed)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = config_class(
            folder,
            per_device_train_batch_size=len(data) // environments * environments,
            per_device_eval_batch_size=10_000,
            max_steps=steps,
            learning_rate=args.learning_rate,
            l2_regularization=args.l2_regularization,
            max_grad_norm=0.0,
            seed=seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            **fields,
        )
        model = ColoredMNISTClassifier(ColoredMNISTConfig(num_labels=2))
        trainer = trainer_class(model, config, train_dataset=data, eval_dataset=test, callbacks=[clock])
        trainer.train()
        found = trainer.evaluate() if steps > args.time_steps + 1 else {}
    seconds = [after - before for before, after in zip(clock.ends, clock.ends[1:])]
    accuracies = {e: found[f"eval_{e}_accuracy"] for e in TESTED if f"eval_{e}_accuracy" in found}
    return {"seconds": median(seconds), "least": min(seconds), "most": max(seconds), "accuracy": accuracies}


def main() -> None:
    """Measure what is not there yet, and print all of it."""
    args = parse_arguments()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in args.output.read_text().splitlines()] if args.output.exists() else []
    wanted = [
        {"what": "time", "variant": v, "environments": e, "rows": args.rows, "steps": args.time_steps + 1, "seed": 0}
        for e in args.environments
        for v in args.variants
    ]
    wanted += [
        {
            "what": "accuracy",
            "variant": v,
            "environments": args.train_environments,
            "rows": None,
            "steps": args.steps,
            "seed": seed,
            "source": args.source if args.source in ("auto", "hub", "bundled") else "folder",
            "inner_learning_rate": args.inner_learning_rate,
            "std_loss_weight": args.std_loss_weight,
            "learning_rate": args.learning_rate,
            "l2_regularization": args.l2_regularization,
        }
        for seed in args.seeds
        for v in args.variants
        if args.steps
    ]
    for settings in wanted:
        row = next((line for line in done if line.items() >= settings.items()), None)
        if row is None:
            numbers = {name: settings[name] for name in ("environments", "rows", "steps", "seed")}
            row = {**settings, **train(settings["variant"], args, **numbers)}
            with args.output.open("a") as file:
                print(json.dumps(row), file=file)
        accuracy = ", ".join(f"{e}: {value:.1%}" for e, value in row["accuracy"].items())
        print(
            f"{row['what']}, E = {row['environments']}, seed {row['seed']}, {row['variant']}: "
            f"{row['seconds']:.3f} s a step ({row['least']:.3f} to {row['most']:.3f}) {accuracy}",
            flush=True,
        )


if __name__ == "__main__":
    main()
