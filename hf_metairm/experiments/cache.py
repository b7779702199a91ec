"""What takes long and serves many commands, kept outside of their output folders under a digest of its origin."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`HF_METAIRM_CACHE` where the environment names one, else `hf_metairm` in the Hugging Face libraries' cache."""
    from huggingface_hub.constants import HF_HOME

    return Path(os.environ.get("HF_METAIRM_CACHE") or Path(HF_HOME, "hf_metairm")).expanduser()
