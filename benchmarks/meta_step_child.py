"""One variant in one setting, measured in a process of its own: the child of `meta_step.py`."""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from meta_step_settings import OURS, OVERHEAD, SETTINGS, Batches, Setting, make_batches, make_model, risk
from meta_step_variants import make_step
from torch import Tensor, nn


MEGABYTE = 1024  # In the kibibytes that /proc counts in.


def measure(
    setting_name: str, variant: str, steps: int, threads: int, device: str, reference: Path | None
) -> dict[str, Any]:
    """
    Load, wait for a line on the standard input, then one warm-up step and `steps` timed ones.

    Returns:
        `dict`: `seconds`, the median, and `all_seconds`; `memory_mb`, the highest resident set since the loaded
        model's first forward pass, above the resident set after it (on a GPU the memory that PyTorch allocated there,
        above that of the model and the batches); `others`, how many cores other processes kept busy
        during the timed steps; `relative_error`, ‖g − g*‖/‖g*‖ with g* from `reference`.
    """
    torch.set_num_threads(threads)
    if setting_name == OVERHEAD:
        return measure_overhead(SETTINGS[setting_name], variant, steps)
    setting = SETTINGS[setting_name]
    model, batches = on_device(setting, device)
    step = make_step(variant, model, batches)
    with torch.no_grad():
        risk(model, batches[0])
    sys.stdin.readline()  # Loaded: wait for the turn.
    baseline = _start_of_peak(device)
    step()
    seconds = []
    clock = _BusyCores()
    for _ in range(steps):
        start = _now(device)
        gradients = step()
        seconds.append(_now(device) - start)
    others, memory = clock.others(), _peak(device) - baseline
    result: dict[str, Any] = {"seconds": median(seconds), "all_seconds": seconds}
    result |= {"memory_mb": memory / MEGABYTE, "others": others, "device_name": device_name(device)}
    same_objective = variant != "erm" and (setting.environments == 2 or "_outer_" not in variant)
    if reference is not None and reference.exists() and same_objective:
        result["relative_error"] = _relative_error(gradients, torch.load(reference, map_location=device))
    return result


def save_reference(setting_name: str, threads: int, device: str, path: Path) -> dict[str, Any]:
    """Save the gradient of our `exact`, which the test suite compares with autograd in float64."""
    torch.set_num_threads(threads)
    setting = SETTINGS[setting_name]
    torch.save(make_step("exact", *on_device(setting, device))(), path)
    return {}


def on_device(setting: Setting, device: str) -> tuple[nn.Module, Batches]:
    """The setting's model and batches."""
    batches = make_batches(setting)
    moved = {e: {name: value.to(device) for name, value in batch.items()} for e, batch in batches.items()}
    return make_model(setting).to(device), moved


def device_name(device: str) -> str:
    """Of the GPU; of the CPU its architecture."""
    return torch.cuda.get_device_name() if device == "cuda" else platform.machine()


def measure_overhead(setting: Setting, variant: str, steps: int) -> dict[str, Any]:
    """
    The share of a Trainer's step, from the end of one to the end of the next and so with the loading of its batch,
    that is not spent inside `meta_gradient`.
    """
    from transformers import TrainerCallback

    from hf_metairm import MetaIRMConfig, MetaIRMTrainer
    from hf_metairm.algorithms import meta_irm
    from hf_metairm.data import TensorRows

    batches = make_batches(setting)
    rows = TensorRows(
        {
            **{name: torch.cat([batch[name] for batch in batches.values()]) for name in batches[0]},
            "environment": [f"e{e}" for e in batches for _ in range(setting.rows)],
        }
    )
    inside: list[float] = []
    ends: list[float] = []
    measured = meta_irm.meta_gradient

    def stop_watched(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        found = measured(*args, **kwargs)
        inside.append(time.perf_counter() - start)
        return found

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

    meta_irm.meta_gradient = stop_watched
    clock = _BusyCores()
    with tempfile.TemporaryDirectory() as folder:
        config = MetaIRMConfig(
            output_dir=folder,
            per_device_train_batch_size=len(rows),
            max_steps=steps + 1,
            meta_gradient=OURS[variant]["kind"],
            finite_difference_scheme=OURS[variant].get("scheme", "forward"),
            meta_gradient_check_steps=0,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = MetaIRMTrainer(make_model(setting), config, train_dataset=rows, callbacks=[Clock()])
        baseline = _start_of_peak()
        trainer.train()
    seconds = [after - before for before, after in itertools.pairwise(ends)]
    shares = [1 - within / whole for within, whole in zip(inside[1:], seconds)]
    return {
        "seconds": median(seconds),
        "all_seconds": seconds,
        "memory_mb": (_peak() - baseline) / MEGABYTE,
        "others": clock.others(),
        "overhead": median(shares),
        "all_overheads": shares,
    }


class _BusyCores:
    """Counts, from when it is made, the cores that were busy, and of them this process's own."""

    def __init__(self):
        self._start = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        busy = sum(fields) - fields[3] - fields[4]  # All but idle and waiting for a disk.
        return time.perf_counter(), busy / os.sysconf("SC_CLK_TCK"), time.process_time()

    def others(self) -> float:
        """Cores that other processes kept busy, on average."""
        wall, busy, own = (now - before for now, before in zip(self._now(), self._start))
        return max(0.0, (busy - own) / wall)


def _relative_error(gradients: list[Tensor], expected: list[Tensor]) -> float:
    assert [g.shape for g in gradients] == [e.shape for e in expected]
    difference = sum(float((g - e).double().square().sum()) for g, e in zip(gradients, expected))
    return (difference / sum(float(e.double().square().sum()) for e in expected)) ** 0.5


def _now(device: str) -> float:
    """The clock, when all that was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _start_of_peak(device: str = "cpu") -> int:
    """Give back what is free, forget the peak of loading, and return what is taken now, in KiB."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() // 1024
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak(device: str = "cpu") -> int:
    return torch.cuda.max_memory_allocated() // 1024 if device == "cuda" else _status("VmHWM")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)
