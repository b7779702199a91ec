"""
Under Accelerate's FSDP2 on two processes: interrupts training after its second step, goes on, and compares with a run
left alone. See `sharded_trainer_worker` for how FSDP2 comes to a CPU.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType

from hf_metairm import MetaIRMConfig, MetaIRMTrainer
from tests.gradients.models import small_bert
from tests.parallel.sharded_trainer_worker import FSDP2
from tests.trainer.test_meta_irm import Interrupt
from tests.trainer.toys import sentences


def trainer(folder: Path, state_dict: str, *callbacks) -> MetaIRMTrainer:
    """A new model and Trainer."""
    args = MetaIRMConfig(
        str(folder),
        per_device_train_batch_size=4,
        max_steps=4,
        save_steps=1,
        learning_rate=1e-2,
        meta_gradient="finite_difference",
        std_loss_momentum=0.5,
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
        fsdp=True,
        fsdp_config={**FSDP2, "state_dict_type": state_dict},
    )
    return MetaIRMTrainer(small_bert().double(), args, train_dataset=sentences(), callbacks=list(callbacks))


def parameters(trained: MetaIRMTrainer) -> list[torch.Tensor]:
    """The whole parameters, on every process."""
    return [p.full_tensor().clone() for p in trained.model_wrapped.parameters()]


def main(folder: Path) -> None:
    """Process 0 writes for each kind of checkpoint whether the parameters are those of the whole run, bit for bit."""
    found = {}
    for state_dict in ("FULL_STATE_DICT", "SHARDED_STATE_DICT"):
        whole = trainer(folder / f"whole{state_dict}", state_dict)
        whole.train()
        killed = trainer(folder / f"killed{state_dict}", state_dict, Interrupt(2))
        with contextlib.suppress(KeyboardInterrupt):
            killed.train()
        PartialState().wait_for_everyone()
        torch.manual_seed(99)
        resumed = trainer(folder / f"killed{state_dict}", state_dict)
        resumed.train(resume_from_checkpoint=True)
        found[state_dict] = all(map(torch.equal, parameters(whole), parameters(resumed)))
    if PartialState().is_main_process:
        (folder / "equal.json").write_text(json.dumps(found))


if __name__ == "__main__":
    PartialState._prepare_backend = lambda self, *args, **kwargs: ("gloo", DistributedType.MULTI_GPU)
    PartialState.set_device = lambda self: setattr(self, "device", torch.device("cpu"))
    main(Path(sys.argv[1]))
    PartialState().wait_for_everyone()
    PartialState().destroy_process_group()
