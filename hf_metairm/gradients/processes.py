"""What changes when several processes share the batch: risks and gradients become means over the processes.

The wrapper of `DistributedDataParallel` is bypassed and one explicit reduction takes its place: DDP's hooks fire at
every backward pass, and the meta-gradient needs several of them, at other parameters, before one gradient is done.
FSDP2 averages the gradients itself, in its own backward hooks; only scalars are left to reduce.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel


def is_sharded(tensor: Tensor) -> bool:
    """Whether `tensor` is a `DTensor`, as FSDP2 makes of every parameter."""
    return hasattr(tensor, "to_local")


class Processes:
    """The processes that share the batch of `model`; a single one unless it is wrapped in DDP or sharded by FSDP2."""

    def __init__(self, model: nn.Module):
        compiled = hasattr(model, "_orig_mod")
        inner = model._orig_mod if compiled else model
        self.module: nn.Module = inner.module if isinstance(inner, DistributedDataParallel) else model
        self.reshard()
        self.shards = any(is_sharded(p) for p in self.module.parameters())
        self._group = inner.process_group if isinstance(inner, DistributedDataParallel) else None
        shared = isinstance(inner, DistributedDataParallel) or (self.shards and dist.is_initialized())
        self.count = dist.get_world_size(self._group) if shared else 1

    def reshard(self) -> None:
        """
        After a forward pass without a backward one (an evaluation), FSDP2 may leave the root unsharded, and its
        parameters are then not those that the optimizer steps: put the shards back.
        """
        for part in self.module.modules():
            if isinstance(part, FSDPModule):
                part.reshard()

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in place."""
        if self.count == 1:
            return
        pending = [dist.all_reduce(t, group=self._group, async_op=True) for t in tensors]
        for work, tensor in zip(pending, tensors):
            work.wait()
            tensor.div_(self.count)

    def average_gradients(self, gradients: Sequence[Tensor]) -> None:
        """The same for gradients, which FSDP2 has averaged already."""
        if not self.shards:
            self.average(gradients)
