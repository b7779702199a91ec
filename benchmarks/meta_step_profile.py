"""Where the time of one step goes: matrix products, attention kernels, everything else. A child of `meta_step.py`."""

from __future__ import annotations

from typing import Any

import torch
from meta_step_child import on_device
from meta_step_settings import SETTINGS
from meta_step_variants import make_step
from torch.profiler import ProfilerActivity


MATRIX_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "mkldnn_linear", "_addmm_activation", "dot", "mv", "addmv")
ATTENTION = ("flash_attention", "efficient_attention", "cudnn_attention")


def profile(setting_name: str, variant: str, threads: int, device: str) -> dict[str, Any]:
    """
    One step to warm up, then one under PyTorch's profiler.

    Returns:
        `dict`: the shares of `matrix_products`, of fused `attention` kernels, which are mostly matrix products, too,
        and of the `rest` in the step's time on the device, and the ten operations of the rest that take most of it.
    """
    torch.set_num_threads(threads)
    model, batches = on_device(SETTINGS[setting_name], device)
    step = make_step(variant, model, batches)
    step()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with torch.profiler.profile(activities=activities) as profiler:
        step()
        if device == "cuda":
            torch.cuda.synchronize()
    field = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    times = {
        event.key.removeprefix("aten::"): float(getattr(event, field))
        for event in profiler.key_averages()
        if event.key.startswith("aten::")
    }
    total = sum(times.values())
    products = {name for name in times if name in MATRIX_PRODUCTS}
    attention = {name for name in times if any(word in name for word in ATTENTION)}
    rest = {name: time / total for name, time in times.items() if name not in products | attention}
    return {
        "matrix_products": sum(times[name] for name in products) / total,
        "attention": sum(times[name] for name in attention) / total,
        "rest": sum(rest.values()),
        "most_of_the_rest": dict(sorted(rest.items(), key=lambda item: -item[1])[:10]),
    }
