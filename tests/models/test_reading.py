"""What is known of a pretrained model before it is used: how many tokens it takes, and whether it is the same one."""

from __future__ import annotations

import shutil

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    RobertaConfig,
    XLNetConfig,
)

from hf_metairm.models.fingerprint import model_fingerprint
from hf_metairm.models.reading import most_tokens

from .tiny import save_tiny_encoder


SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 30}


@pytest.mark.parametrize(
    ("config", "most"),
    [
        (BertConfig(max_position_embeddings=20, **SIZES), 20),
        (RobertaConfig(max_position_embeddings=20, pad_token_id=1, **SIZES), 18),
        (DistilBertConfig(max_position_embeddings=20, dim=8, n_layers=1, n_heads=1, hidden_dim=8, vocab_size=30), 20),
        (GPT2Config(n_positions=20, n_embd=8, n_layer=1, n_head=1, vocab_size=30, pad_token_id=0), 20),
        (XLNetConfig(d_model=8, n_layer=1, n_head=1, d_inner=8, vocab_size=30), None),
    ],
)
def test_a_model_takes_as_many_tokens_as_it_has_positions_for(config, most):
    model = AutoModelForSequenceClassification.from_config(config).eval()
    assert most_tokens(model) == most
    tokens = torch.full((1, most or 40), 5)
    model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    if most:
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, most + 1), 5), attention_mask=torch.ones(1, most + 1, dtype=torch.long))


def test_a_model_is_known_by_its_files(tmp_path):
    folder = save_tiny_encoder(tmp_path / "one")
    first = model_fingerprint(str(folder))
    assert model_fingerprint(str(shutil.copytree(folder, tmp_path / "elsewhere"))) == first
    (folder / "README.md").write_text("a card")
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "model.safetensors").write_bytes(b"weights on the way")
    (folder / ".cache.json").write_text("{}")
    assert model_fingerprint(str(folder)) == first
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert model_fingerprint(str(folder)) != first
    assert model_fingerprint("owner/one") != model_fingerprint("owner/other")
