"""The meta-gradient of a model that FSDP2 has sharded over two CPU processes, against that of the joint batch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from hf_metairm.gradients import StdLoss, crossed_difference, meta_gradient, trainable_parameters
from tests.gradients.models import bert_batches, bert_risk, small_bert
from tests.gradients.reference import relative_error


def main(file: Path) -> None:
    """Write the relative error of each kind, and what `exact` says."""
    dist.init_process_group("gloo")
    rank, count = dist.get_rank(), dist.get_world_size()
    whole = bert_batches(3, rows=4)
    own = {e: {k: v[rank::count] for k, v in batch.items()} for e, batch in whole.items()}
    found: dict[str, object] = {"processes": count}
    for name, options in {
        "forward": {"kind": "finite_difference"},
        "central": {"kind": "finite_difference", "scheme": "central"},
        "crossed": {"kind": "crossed_difference", "inner_learning_rate": 0.02, "measure_error": True},
        "surveyed": {"kind": "crossed_difference", "inner_learning_rate": 0.02},
        "first_order": {"kind": "first_order"},
    }.items():
        # Where inner gradients may not be kept, a pass ahead finds the weights.
        crossed_difference.KEPT_BYTES = 0 if name == "surveyed" else 2**28
        joint = meta_gradient(small_bert().double().eval(), bert_risk, whole, std_loss=StdLoss(2.0), **options)
        model = small_bert().double().eval()
        mesh = dist.device_mesh.init_device_mesh("cpu", (count,))
        for layer in model.bert.encoder.layer:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        before = [p.full_tensor().clone() for p in trainable_parameters(model)]
        sharded = meta_gradient(model, bert_risk, own, std_loss=StdLoss(2.0), **options)
        full = [g.full_tensor() for g in sharded.gradients]
        if "crossed" in options["kind"]:
            replicated = DistributedDataParallel(small_bert().double().eval())
            replicas = meta_gradient(replicated, bert_risk, own, std_loss=StdLoss(2.0), **options)
            found[f"{name} with DDP"] = relative_error(replicas.gradients, joint.gradients)
        after = [p.full_tensor() for p in trainable_parameters(model)]
        found[name] = relative_error(full, joint.gradients)
        if joint.error is not None:
            found[f"{name} error"] = [float(joint.error), float(sharded.error)]
        found[f"{name} objective"] = abs(float(sharded.objective - joint.objective))
        found[f"{name} restored"] = all(map(torch.equal, before, after))
    for name, options in {
        "forward in parts": {"kind": "finite_difference"},
        "crossed in parts": {"kind": "crossed_difference", "inner_learning_rate": 0.02},
    }.items():
        joint = meta_gradient(small_bert().double().eval(), bert_risk, whole, **options)
        parts = {e: [{k: v[row : row + 1] for k, v in batch.items()} for row in range(2)] for e, batch in own.items()}
        found[name] = relative_error(
            [g.full_tensor() for g in meta_gradient(model, bert_risk, parts, **options).gradients], joint.gradients
        )
    try:
        meta_gradient(model, bert_risk, own, kind="exact")
    except ValueError as error:
        found["exact"] = str(error)
    if rank == 0:
        file.write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
