"""
Counts the bytes that go through `torch.distributed` in one meta-gradient, on a model that every process has whole and
on one that FSDP2 has sharded.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from hf_metairm.gradients import StdLoss, crossed_difference, meta_gradient
from tests.gradients.models import bert_batches, bert_risk, small_bert


KINDS = {
    "first_order": {"kind": "first_order"},
    "forward": {"kind": "finite_difference"},
    "central": {"kind": "finite_difference", "scheme": "central"},
    "crossed": {"kind": "crossed_difference", "inner_learning_rate": 0.02},
    "crossed, surveyed": {"kind": "crossed_difference", "inner_learning_rate": 0.02},
}


def keep(kind: str) -> mock._patch:
    """Inner gradients may be kept, as small as they are, or not."""
    return mock.patch.object(crossed_difference, "KEPT_BYTES", 0 if "surveyed" in kind else 2**28)


# The same collective by its name before and after torch 2.13, and which of its tensors is the whole one.
COLLECTIVES = {
    "all_reduce": ("all_reduce", "tensor", 0),
    "all_gather_single": ("all_gather", "output_tensor", 0),
    "all_gather_into_tensor": ("all_gather", "output_tensor", 0),
    "reduce_scatter_single": ("reduce_scatter", "input", 1),
    "reduce_scatter_tensor": ("reduce_scatter", "input", 1),
}


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Bytes by collective."""
    found: Counter[str] = Counter()

    def counted(call: Callable, name: str, argument: str, place: int) -> Callable:
        def collective(*args, **kwargs):
            whole = kwargs[argument] if argument in kwargs else args[place]
            found[name] += whole.numel() * whole.element_size()
            return call(*args, **kwargs)

        return collective

    there = {function: how for function, how in COLLECTIVES.items() if hasattr(dist, function)}
    with mock.patch.multiple(dist, **{f: counted(getattr(dist, f), *how) for f, how in there.items()}):
        yield found


def replicated() -> nn.Module:
    """A model that every process has whole."""
    return DistributedDataParallel(small_bert(dropout=0.0))


def sharded(count: int) -> nn.Module:
    """A model of which every process has a part."""
    model = small_bert(dropout=0.0)
    mesh = dist.device_mesh.init_device_mesh("cpu", (count,))
    for layer in model.bert.encoder.layer:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def main(file: Path) -> None:
    """Write the bytes of each kind at two, three and four environments, and the sizes of the model."""
    dist.init_process_group("gloo")
    rank, count = dist.get_rank(), dist.get_world_size()
    found: dict[str, object] = {"processes": count}
    for environments in (2, 3, 4):
        whole = bert_batches(environments, rows=4)
        own = {e: {k: v[rank::count] for k, v in batch.items()} for e, batch in whole.items()}
        for name, options in KINDS.items():
            for what, model in (("replicated", replicated()), ("sharded", sharded(count))):
                with counting() as sent, keep(name):
                    meta_gradient(model, bert_risk, own, std_loss=StdLoss(2.0), **options)
                found[f"{name} {what} {environments}"] = sent
    halves = {
        e: [{k: v[:1] for k, v in batch.items()}, {k: v[1:] for k, v in batch.items()}] for e, batch in own.items()
    }
    for what, model in (("replicated", replicated()), ("sharded", sharded(count))):
        with counting() as sent:
            meta_gradient(model, bert_risk, halves, std_loss=StdLoss(2.0), **KINDS["forward"])
        found[f"in halves {what}"] = sent
    model = small_bert()
    found["tensors"] = len(list(model.parameters()))
    found["blocks"] = sum(p.numel() for p in model.bert.encoder.layer.parameters())
    found["parameters"] = sum(p.numel() for p in model.parameters())
    if rank == 0:
        file.write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
