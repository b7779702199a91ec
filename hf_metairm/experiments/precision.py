"""Whether this machine trains faster in bfloat16."""

from __future__ import annotations

from typing import Any

import torch


def bfloat16_is_faster() -> bool:
    """On GPUs that have it, and on CPUs with matrix units for it (Intel's AMX), where a step takes half the time."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))
