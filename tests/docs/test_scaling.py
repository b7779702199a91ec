"""The plan for many GPUs counts what there is: bytes that two processes send, tensors that one keeps."""

from __future__ import annotations

import itertools
import json
import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from hf_metairm.gradients import StdLoss, crossed_difference, meta_gradient

from ..parallel.launch import launch
from ..parallel.traffic_worker import KINDS, keep
from .pages import ROOT, benchmark


SIZE, LAYERS = 64, 40
CASES = list(itertools.product(KINDS, (2, 3, 4)))


@pytest.fixture(scope="module")
def plan():
    return benchmark("scaling")


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    file = tmp_path_factory.mktemp("traffic") / "found.json"
    launch("tests.parallel.traffic_worker", str(file), processes=2)
    return json.loads(file.read_text())


@pytest.mark.parametrize(("kind", "environments"), CASES)
def test_two_processes_send_what_the_formula_says(kind, environments, plan, sent):
    assert sent["processes"] == 2
    done = plan.passes(kind, environments)
    replicated = plan.replicated_bytes(done, sent["parameters"], sent["tensors"])
    assert sent[f"{kind} replicated {environments}"] == {"all_reduce": replicated}
    found = sent[f"{kind} sharded {environments}"]
    root = sent["parameters"] - sent["blocks"]
    assert (found["all_gather"], found["reduce_scatter"]) == plan.sharded_bytes(done, sent["blocks"], root)
    assert found["all_reduce"] == 4 * (done.scalars + sent["tensors"]), "risks, and which parameters were used"


def test_micro_batches_cost_traffic_under_fsdp2_alone(plan, sent):
    assert sent["in halves replicated"] == sent["forward replicated 4"]
    found, root = sent["in halves sharded"], sent["parameters"] - sent["blocks"]
    expected = plan.sharded_bytes(plan.passes("forward", 4), sent["blocks"], root, parts=2)
    assert (found["all_gather"], found["reduce_scatter"]) == expected
    assert found["all_reduce"] == sent["forward sharded 4"]["all_reduce"]


class Alive(TorchDispatchMode):
    """How many tensors of a size were alive at most beside a model's parameters, counting each storage once."""

    def __init__(self, numbers: int, model: nn.Module):
        super().__init__()
        self.numbers, self.now, self.most = numbers, 0, 0
        self._known = {p.untyped_storage()._cdata for p in model.parameters()}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor) and tensor.numel() == self.numbers:
                self._see(tensor.untyped_storage())
        return result

    def _see(self, storage):
        key = storage._cdata
        if key not in self._known:
            self._known.add(key)
            self.now += 1
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._gone, key)

    def _gone(self, key):
        self._known.discard(key)
        self.now -= 1


@pytest.mark.parametrize(("kind", "environments"), [*CASES, ("exact", 2), ("exact", 3)])
def test_as_many_vectors_are_kept_as_the_formula_says(kind, environments, plan):
    torch.manual_seed(0)
    layers = [layer for _ in range(LAYERS) for layer in (nn.Linear(SIZE, SIZE, bias=False), nn.Tanh())]
    model = nn.Sequential(*layers)
    batches, options = {e: torch.randn(2, SIZE) for e in range(environments)}, KINDS.get(kind, {"kind": kind})
    with keep(kind), Alive(SIZE * SIZE, model) as alive:
        meta_gradient(model, lambda m, x: m(x).square().mean(), batches, std_loss=StdLoss(2.0), **options)
    # One layer at a time has its gradient beside all the vectors.
    assert plan.vectors(kind, environments) <= alive.most / LAYERS < plan.vectors(kind, environments) + 0.2


def test_inner_gradients_are_kept_up_to_the_size_that_the_plan_says(plan):
    assert plan.KEPT_BYTES == crossed_difference.KEPT_BYTES


def test_the_page_has_the_tables_of_the_script(plan):
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert plan.table_of_passes() in page
    assert plan.table_of_models() in page
