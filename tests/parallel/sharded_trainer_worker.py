"""
Trains with the Trainer and Accelerate's FSDP2, on as many processes as it is started with, and saves the
parameters.

Accelerate offers FSDP2 to GPUs alone. Here it is told that its two gloo processes have one each, which are the CPU;
everything after that, from the wrapping to the gathered state dict, is its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType

from hf_metairm.trainer import ALGORITHMS
from tests.gradients.models import small_bert
from tests.trainer.toys import sentences


CASES = {
    "forward": ("meta-irm", {"meta_gradient": "finite_difference"}),
    "central": ("meta-irm", {"meta_gradient": "finite_difference", "finite_difference_scheme": "central"}),
    "crossed": ("meta-irm", {"meta_gradient": "crossed_difference", "inner_learning_rate": 0.02}),
    "first_order": ("meta-irm", {"meta_gradient": "first_order"}),
    "erm": ("erm", {}),
    "irmv2": ("irmv2", {"penalty_weight": 5.0}),
    "iga": ("iga", {"penalty_weight": 0.1, "hessian_product": "central_difference"}),
    "fish": ("fish", {}),
}
FSDP2 = {
    "version": 2,
    "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "transformer_layer_cls_to_wrap": ["BertLayer"],
    "reshard_after_forward": True,
}


def main(folder: Path) -> None:
    """Four steps of every case, with an evaluation between them; process 0 saves the whole parameters."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    for name, (algorithm, fields) in CASES.items():
        trainer_class, config_class = ALGORITHMS[algorithm]
        args = config_class(
            str(folder / "output"),
            per_device_train_batch_size=8 // processes,
            max_steps=4,
            learning_rate=0.1,
            optim="sgd",
            max_grad_norm=0.5,
            l2_regularization=0.01,
            eval_strategy="steps",
            eval_steps=2,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=processes == 1,
            **({"fsdp": True, "fsdp_config": FSDP2} if processes > 1 else {}),
            **fields,
        )
        model = small_bert(dropout=0.0).double()
        trainer = trainer_class(model, args, train_dataset=sentences(), eval_dataset=sentences(seed=1))
        trainer.train()
        # Any, not all: the last evaluation leaves the root unsharded.
        sharded = any(hasattr(p, "full_tensor") for p in trainer.model_wrapped.parameters())
        assert sharded == (processes > 1)
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        if trainer.is_world_process_zero():
            torch.save(state, folder / f"{name}.pt")


if __name__ == "__main__":
    if "WORLD_SIZE" in os.environ:
        PartialState._prepare_backend = lambda self, *args, **kwargs: ("gloo", DistributedType.MULTI_GPU)
        PartialState.set_device = lambda self: setattr(self, "device", torch.device("cpu"))
    main(Path(sys.argv[1]))
    # gloo aborts a process whose peer hangs up while it still listens.
    PartialState().wait_for_everyone()
    PartialState().destroy_process_group()
