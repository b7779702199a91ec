"""The heads of pretrained classifiers: found, what goes in, and a smaller one put in their place."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    MPNetConfig,
    RobertaConfig,
)

from hf_metairm.models.classification_head import find_head, head_inputs
from hf_metairm.models.feature_head import FeatureHead, FeatureHeadConfig
from hf_metairm.models.pretrained import resolve_model


SMALL = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 1}
MODELS = {
    "tanh": [BertConfig(**SMALL), RobertaConfig(**SMALL, max_position_embeddings=600), MPNetConfig(**SMALL)],
    "relu": [DistilBertConfig(dim=24, n_heads=2, hidden_dim=16, n_layers=1)],
    "gelu": [ElectraConfig(**SMALL, embedding_size=24), DebertaV2Config(**SMALL)],
}
TEXTS = ["a short one", "one that is longer than the other", "a short one", "dull"]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(resolve_model("minilm"))


@pytest.mark.parametrize(("activation", "config"), [(a, c) for a, configs in MODELS.items() for c in configs])
def test_the_model_says_what_the_head_that_was_put_in_says(activation, config, tokenizer):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    head = find_head(model, tokenizer)
    assert head.activation == activation
    features = head_inputs(model, head, tokenizer, TEXTS, batch_size=2)
    assert features.shape == (4, 24)
    assert torch.equal(features[0], features[2]), "the same text has the same features"
    mean, scale = features.mean(0), features.std(0) + 0.1
    small = FeatureHead(FeatureHeadConfig(input_size=24, hidden_size=7, activation=activation, num_labels=2))
    expected = small((features - mean) / scale).logits
    head.put_in(small, mean, scale)
    tokens = tokenizer(TEXTS, padding=True, return_tensors="pt")
    found = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).logits
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_head_of_another_form_is_refused(tokenizer):
    decoder = GPT2Config(n_embd=16, n_head=2, n_layer=1, pad_token_id=0)
    model = AutoModelForSequenceClassification.from_config(decoder)
    with pytest.raises(ValueError, match=r"not of the form linear, activation, linear.*--stages one"):
        find_head(model, tokenizer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 25}, "choose fewer units"),
        ({"input_size": 23}, "on 23 features does not fit"),
        ({"activation": "relu"}, "trained with relu, the model has tanh"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(changes, message, tokenizer):
    head = find_head(AutoModelForSequenceClassification.from_config(BertConfig(**SMALL)), tokenizer)
    small = FeatureHead(FeatureHeadConfig(**{"input_size": 24, "hidden_size": 8, **changes}))
    with pytest.raises(ValueError, match=message):
        head.put_in(small, torch.zeros(24), torch.ones(24))
