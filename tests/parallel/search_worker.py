"""Searches hyper-parameters; every process says which settings it trained with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from accelerate import PartialState

from hf_metairm import MetaIRMConfig, MetaIRMTrainer
from hf_metairm.selection import accuracy_less_spread
from tests.trainer.toys import Classifier, numbers


def main(folder: Path) -> None:
    """Three trials, with an evaluation on the way that would have the first processes pruned."""
    state = PartialState(cpu=True)
    trainer = MetaIRMTrainer(
        model_init=lambda: Classifier(dropout=0.0, tied=False),
        args=MetaIRMConfig(
            str(folder / "output"),
            per_device_train_batch_size=6,
            max_steps=4,
            eval_strategy="steps",
            eval_steps=1,
            learning_rate=1e-2,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
        ),
        train_dataset=numbers(3),
        eval_dataset=numbers(3, seed=2),
    )
    trained = []
    names = ("learning_rate", "inner_learning_rate", "std_loss_weight", "penalty_anneal_steps")

    def objective(metrics: dict[str, float]) -> float:
        found = accuracy_less_spread(metrics)
        trained.append([*(getattr(trainer.args, name) for name in names), found])
        return found

    best = trainer.hyperparameter_search(
        backend="optuna", n_trials=6, direction="maximize", compute_objective=objective
    )
    written = {"trained": trained, "best": best and [best.hyperparameters[name] for name in names]}
    (folder / f"process{state.process_index}.json").write_text(json.dumps(written))
    state.wait_for_everyone()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    PartialState().destroy_process_group()
