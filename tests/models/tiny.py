"""A BERT small enough to save, load and train in a moment, with MiniLM's real tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from hf_metairm.models.pretrained import resolve_model


def save_tiny_encoder(folder: Path, mean_pooled: bool = True) -> Path:
    """A folder as sentence-transformers writes it: encoder, tokenizer, and how its tokens are pooled."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve_model("minilm")).save_pretrained(folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    pooling.write_text(json.dumps({"pooling_mode_mean_tokens": mean_pooled}))
    return folder
