"""What changes when several processes share the batch: risks and gradients are sums over the processes.

Each process weighs its rows by their share of all (see `risks`), so the sum over the processes is the mean over rows.
The wrapper of `DistributedDataParallel` is bypassed and one explicit reduction takes its place: DDP's hooks fire at
every backward pass, and the meta-gradient needs several of them, at other parameters, before one gradient is done.
FSDP2 averages the gradients itself, in its own backward hooks; only scalars are left to reduce.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel


def is_sharded(tensor: Tensor) -> bool:
    """Whether `tensor` is a `DTensor`, as FSDP2 makes of every parameter."""
    return hasattr(tensor, "to_local")


def reshard(model: nn.Module) -> None:
    """
    After a forward pass without a backward one (an evaluation), FSDP2 may leave the root unsharded, and its parameters
    are then not those that the optimizer steps: put the shards back.
    """
    for part in model.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


class Processes:
    """The processes that share the batch of `model`; a single one unless it is wrapped in DDP or sharded by FSDP2."""

    def __init__(self, model: nn.Module):
        compiled = hasattr(model, "_orig_mod")
        inner = model._orig_mod if compiled else model
        self.module: nn.Module = inner.module if isinstance(inner, DistributedDataParallel) else model
        reshard(self.module)
        self.shards = any(is_sharded(p) for p in self.module.parameters())
        self._group = inner.process_group if isinstance(inner, DistributedDataParallel) else None
        shared = isinstance(inner, DistributedDataParallel) or (self.shards and dist.is_initialized())
        self.count = dist.get_world_size(self._group) if shared else 1
        # FSDP2's hooks take the mean of the processes' gradients where their sum is wanted.
        self.backward_scale = float(self.count) if self.shards else 1.0

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in place."""
        if self.count == 1:
            return
        for work in [dist.all_reduce(t, group=self._group, async_op=True) for t in tensors]:
            work.wait()

    def add_gradients(self, gradients: Sequence[Tensor]) -> None:
        """The same for gradients, which FSDP2 has reduced already."""
        if not self.shards:
            self.add(gradients)

    def any(self, flags: list[bool]) -> list[bool]:
        """For each flag whether it is set on any process."""
        if self.count == 1:
            return flags
        device = next(self.module.parameters()).device
        found = torch.tensor(flags, dtype=torch.int32, device=device)
        dist.all_reduce(found, op=dist.ReduceOp.MAX, group=self._group)
        return found.bool().tolist()
