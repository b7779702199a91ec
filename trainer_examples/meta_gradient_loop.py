# /// script
# requires-python = ">=3.10"
# dependencies = ["hf_metairm"]
#
# [tool.uv.sources]
# hf_metairm = { path = "..", editable = true }
# ///

"""
The meta-IRM gradient in a plain Accelerate loop, without a Trainer.

    uv run trainer_examples/meta_gradient_loop.py
    accelerate launch trainer_examples/meta_gradient_loop.py    # on several processes, if you have them
"""

import torch
from accelerate import Accelerator
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from hf_metairm.data import ColoredMNIST
from hf_metairm.environments import EnvironmentCollator, EnvironmentSampler, read_environments
from hf_metairm.gradients import StdLoss, meta_gradient, trainable_parameters
from hf_metairm.models import ColoredMNISTClassifier, ColoredMNISTConfig


accelerator = Accelerator(cpu=not torch.cuda.is_available())
with accelerator.main_process_first():
    builder = ColoredMNIST("binary")
    builder.download_and_prepare()
rows = builder.as_tensors("train")
environments = read_environments(rows)
collator = EnvironmentCollator(None, "environment", environments.name_of)
share = 512 // accelerator.num_processes  # N processes train what one trains.
sampler = EnvironmentSampler(environments.ids, rows_per_block=share, blocks_per_step=accelerator.num_processes)
loader = DataLoader(rows, batch_size=share, sampler=sampler, collate_fn=collator)
torch.manual_seed(0)
model = ColoredMNISTClassifier(ColoredMNISTConfig())
model, optimizer, loader = accelerator.prepare(model, torch.optim.Adam(model.parameters(), 1e-3), loader)
std_loss = StdLoss(weight=1.0)

for epoch in range(2):
    sampler.set_epoch(epoch)
    for batches in loader:
        result = meta_gradient(
            model, lambda m, b: cross_entropy(m(b["pixel_values"]).logits, b["labels"]), batches, std_loss=std_loss
        )
        for parameter, gradient in zip(trainable_parameters(model), result.gradients):
            parameter.grad = gradient
        optimizer.step()
    accelerator.print(f"epoch {epoch}: objective {result.objective:.4f}, σ {result.deviation:.4f}")
accelerator.end_training()
