"""Small models with the corners that meta-gradients trip over: dropout, tied and unused parameters, LoRA."""

from __future__ import annotations

import torch
from torch import nn


class SmallMLP(nn.Module):
    """Two layers that share one matrix, dropout, and a parameter that nothing uses."""

    def __init__(self, dropout: float = 0.2, tied: bool = True):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        if tied:
            self.second.weight = self.first.weight
        self.last = nn.Linear(6, 3)
        self.unused = nn.Parameter(torch.ones(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.last(torch.tanh(self.second(self.dropout(torch.tanh(self.first(x))))))


def mlp_risk(model, batch):
    x, y = batch
    return nn.functional.cross_entropy(model(x), y)


def mlp_batches(environments: int, rows: int = 5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    return {
        e: (
            torch.randn(rows, 6, generator=generator, dtype=torch.float64).to(dtype) + 0.3 * e,
            torch.randint(3, (rows,), generator=generator),
        )
        for e in range(environments)
    }


def small_bert(dropout: float = 0.1, attention: str = "sdpa", layers: int = 2):
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=12,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        attn_implementation=attention,
        num_labels=2,
    )
    return BertForSequenceClassification(config).train()


def bert_risk(model, batch):
    return model(**batch).loss


def bert_batches(environments: int, rows: int = 4):
    generator = torch.Generator().manual_seed(5)
    batches = {}
    for e in range(environments):
        mask = torch.ones(rows, 7, dtype=torch.long)
        mask[0, 5:] = 0
        batches[e] = {
            "input_ids": torch.randint(1, 40, (rows, 7), generator=generator),
            "attention_mask": mask,
            "labels": torch.randint(2, (rows,), generator=generator),
        }
    return batches


def with_lora(bert):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    lora = get_peft_model(
        bert, LoraConfig(r=2, lora_dropout=0.1, target_modules=["query", "value"], task_type="SEQ_CLS")
    )
    # LoRA starts with B = 0, where half of the Hessian vanishes: start elsewhere.
    with torch.no_grad():
        for name, p in lora.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.1)
    return lora.train()
