"""
Trains every case it is told to and saves the parameters, on as many processes as it is started with.

The rows of a step are the same however many processes share them, so the parameters must be the same too.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import torch
from accelerate import PartialState

from hf_metairm.trainer import ALGORITHMS
from tests.trainer import tasks
from tests.trainer.toys import Classifier, numbers


ROWS_PER_STEP = 24
KINDS = {
    "exact": {"meta_gradient": "exact"},
    "forward": {"meta_gradient": "finite_difference"},
    "central": {"meta_gradient": "finite_difference", "finite_difference_scheme": "central"},
    "crossed": {"meta_gradient": "crossed_difference", "inner_learning_rate": 0.02},
    "first_order": {"meta_gradient": "first_order"},
}

LOGGED = ("risk", "meta", "irm", "rex", "weight", "fishr", "iga", "coral", "bottleneck", "worst_group")
PENALTY = {"l2_regularization": 0.01, "penalty_weight": 5.0, "penalty_anneal_steps": 3}
BASELINES = {
    "erm": ("erm", {"l2_regularization": 0.01}),
    "irmv1": ("irmv1", PENALTY),
    "irmv1-halves": ("irmv1", {**PENALTY, "unbiased_penalty": True}),
    "v-rex": ("v-rex", {**PENALTY, "penalty_momentum": 0.5}),
    "mm-rex": ("mm-rex", {**PENALTY, "penalty_momentum": 0.5}),
    "group-dro": ("group-dro", {"l2_regularization": 0.01, "group_dro_step_size": 0.3}),
    "irmv2": ("irmv2", PENALTY),
    "fishr": ("fishr", PENALTY),
    "ib-irm": ("ib-irm", {**PENALTY, "bottleneck_weight": 2.0}),
    "coral": ("coral", {**PENALTY, "feature_module": "body.second"}),
    "iga": ("iga", PENALTY),
    "iga-forward": ("iga", {**PENALTY, "hessian_product": "forward_difference"}),
    "fish": ("fish", {"l2_regularization": 0.01, "inner_learning_rate": 0.3}),
    "dfr": ("dfr", {"l2_regularization": 0.01}),
}


def cases():
    """Name, algorithm, environments, accumulation and fields of each case."""
    for environments, accumulation in itertools.product((2, 3), (1, 2)):
        suffix = f"E{environments}-accumulate{accumulation}"
        for kind, fields in KINDS.items():
            fields = {**fields, "std_loss_weight": 5.0, "std_loss_momentum": 0.5, "inner_steps": environments - 1}
            fields |= {"inner_steps": 1} if kind == "crossed" else {}
            yield f"meta-irm-{kind}-{suffix}", "meta-irm", environments, accumulation, fields
        # Three environments are enough for the baselines, and leave each a batch that `unbiased_penalty` can halve.
        for name, (algorithm, fields) in BASELINES.items() if environments == 3 else ():
            yield f"{name}-{suffix}", algorithm, environments, accumulation, fields
    # Risks that are means over tokens, of which micro-batches and processes have unequally many.
    for task, algorithm, accumulation in itertools.product(
        ("tokens", "language"), ("erm", "v-rex", "meta-irm"), (1, 2)
    ):
        # Not with Adam, which would blow up the rounding errors in the gradient of a key's bias: that is zero.
        fields = {"l2_regularization": 0.01, "optim": "sgd", "learning_rate": 0.3}
        yield f"{task}-{algorithm}-accumulate{accumulation}", algorithm, 2, accumulation, fields
    yield "meta-irm-draws", "meta-irm", 3, 1, {"environments_per_batch": 2}
    yield "meta-irm-outer", "meta-irm", 3, 1, {"outer_environments": "1"}
    crossed = {"outer_environments": "1", "meta_gradient": "crossed_difference", "inner_learning_rate": 0.02}
    yield "meta-irm-crossed-outer", "meta-irm", 4, 1, crossed
    yield "v-rex-draws", "v-rex", 3, 1, {"environments_per_batch": 2, "penalty_weight": 5.0, "penalty_momentum": 0.5}
    yield "group-dro-draws", "group-dro", 3, 1, {"environments_per_batch": 2, "group_dro_step_size": 0.3}


def main(folder: Path) -> None:
    """Ten AdamW steps of every case; process 0 saves parameters, logs and metrics."""
    state = PartialState(cpu=True)
    metrics = {}
    for name, algorithm, environments, accumulation, fields in cases():
        trainer_class, config_class = ALGORITHMS[algorithm]
        task = name.split("-")[0] if name.startswith(tasks.TASKS) else None
        model = tasks.model(task) if task else Classifier(dropout=0.0, tied=False)
        args = config_class(
            str(folder / "output"),
            per_device_train_batch_size=ROWS_PER_STEP // accumulation // state.num_processes,
            per_device_eval_batch_size=5,
            gradient_accumulation_steps=accumulation,
            max_steps=10,
            weight_decay=0.1,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=5,
            **{"learning_rate": 1e-2, **fields},
        )
        if task:
            data, held_out = tasks.rows(task, environments, 36), tasks.rows(task, environments, 17, seed=2)
        else:
            data, held_out = numbers(environments, rows=36), numbers(environments, rows=17, seed=2)
        collator = tasks.collator(task) if task else None
        trainer = trainer_class(model, args, train_dataset=data, eval_dataset=held_out, data_collator=collator)
        trainer.train()
        found = trainer.evaluate()
        metrics[name] = {k: v for k, v in found.items() if "accuracy" in k}
        metrics[name]["log"] = [
            {k: v for k, v in entry.items() if k == "loss" or k.startswith(LOGGED)}
            for entry in trainer.state.log_history
            if "loss" in entry
        ]
        if state.is_main_process:
            torch.save(model.state_dict(), folder / f"{name}.pt")
        state.wait_for_everyone()
    if state.is_main_process:
        (folder / "metrics.json").write_text(json.dumps(metrics))
        (folder / "processes").write_text(str(state.num_processes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    PartialState().destroy_process_group()
