"""Exact meta-gradients of ten architectures of transformers, small and with random weights, against differences."""

from __future__ import annotations

import pytest
import torch
import transformers as t

from hf_metairm.gradients import StdLoss, meta_gradient

from .reference import relative_error


BERT_LIKE = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 24,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
DECODER = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "pad_token_id": 0,
}
MODELS = {
    "bert": (t.BertForSequenceClassification, t.BertConfig(**BERT_LIKE)),
    "roberta": (t.RobertaForSequenceClassification, t.RobertaConfig(**BERT_LIKE, pad_token_id=0)),
    "electra": (t.ElectraForSequenceClassification, t.ElectraConfig(**BERT_LIKE, embedding_size=8)),
    # All layers are one: each parameter is used several times.
    "albert": (t.AlbertForSequenceClassification, t.AlbertConfig(**BERT_LIKE, embedding_size=8)),
    "deberta-v2": (
        t.DebertaV2ForSequenceClassification,
        t.DebertaV2Config(**BERT_LIKE, relative_attention=True, pos_att_type=["p2c", "c2p"]),
    ),
    "distilbert": (
        t.DistilBertForSequenceClassification,
        t.DistilBertConfig(
            vocab_size=40, dim=16, n_layers=2, n_heads=2, hidden_dim=24, dropout=0.0, attention_dropout=0.0,
            max_position_embeddings=24, seq_classif_dropout=0.0,
        ),
    ),
    "gpt2": (
        t.GPT2LMHeadModel,
        t.GPT2Config(
            vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=24, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=1, eos_token_id=2,
        ),
    ),
    "llama": (t.LlamaForCausalLM, t.LlamaConfig(**DECODER)),
    "qwen2": (t.Qwen2ForSequenceClassification, t.Qwen2Config(**DECODER)),
    "vit": (
        t.ViTForImageClassification,
        t.ViTConfig(
            image_size=8, patch_size=4, num_channels=1, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=24, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        ),
    ),
}  # fmt: skip


def batches(model):
    """Two environments of four rows."""
    generator = torch.Generator().manual_seed(5)
    found = {}
    for e in ("a", "b"):
        if isinstance(model, t.ViTForImageClassification):
            inputs = {"pixel_values": torch.randn(4, 1, 8, 8, generator=generator, dtype=torch.float64)}
        else:
            inputs = {"input_ids": torch.randint(3, 40, (4, 7), generator=generator)}
            inputs["attention_mask"] = torch.ones(4, 7, dtype=torch.long)
        language = isinstance(model, (t.GPT2LMHeadModel, t.LlamaForCausalLM))
        inputs["labels"] = inputs["input_ids"] if language else torch.randint(2, (4,), generator=generator)
        found[e] = inputs
    return found


@pytest.mark.parametrize("name", MODELS)
def test_exact_is_the_limit_of_differences(name):
    torch.manual_seed(0)
    kind, config = MODELS[name]
    model = kind(config).double().eval()
    rows = batches(model)

    def risk(model, inputs):
        outputs = model(**inputs)
        if "input_ids" in inputs and inputs["labels"].dim() == 2:
            # Their own loss is computed in float32, too coarse for a difference.
            logits = outputs.logits[:, :-1].flatten(0, 1)
            return torch.nn.functional.cross_entropy(logits, inputs["labels"][:, 1:].flatten())
        return outputs.loss

    # Their norms compute in float32 whatever the parameters are, and a difference must step over that rounding.
    coarse = name in ("llama", "qwen2", "deberta-v2")
    options = {"inner_learning_rate": 0.5, "compute_dtype": torch.float32 if coarse else None}
    exact, difference, first_order = (
        meta_gradient(model, risk, rows, kind=kind, scheme="central", std_loss=StdLoss(2.0), **options).gradients
        for kind in ("exact", "finite_difference", "first_order")
    )
    assert relative_error(difference, exact) < (1e-3 if coarse else 1e-6)
    assert relative_error(first_order, exact) > 1e-3, "the second derivative is there"
