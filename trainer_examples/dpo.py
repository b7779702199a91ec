# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_metairm[trl]"]
#
# [tool.uv.sources]
# hf_metairm = { path = "..", editable = true }
# ///

"""
Direct preference optimization by meta-IRM, with LoRA, on preferences of two groups of people.

    uv run trainer_examples/dpo.py

A small model with random weights stands in for yours: with `AutoModelForCausalLM.from_pretrained(name)` and its
tokenizer the rest stays. Takes a few seconds on a CPU. Without uv it needs `pip install '.[trl]'`.
"""

import random

from datasets import Dataset
from peft import LoraConfig
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from hf_metairm import MetaIRMDPOConfig, MetaIRMDPOTrainer


def preferences(group: str, long: float, rows: int = 200) -> list[dict]:
    """Pairs of answers: the right one is chosen, and it is the longer one in `long` of the rows."""
    draws = random.Random(group)
    found = []
    for _ in range(rows):
        answers = [f" {draws.choice(kind)}" for kind in (["yes", "right"], ["no", "wrong"])]
        longer = 0 if draws.random() < long else 1
        answers[longer] += " well well"
        found.append({"prompt": "is it so ?", "chosen": answers[0], "rejected": answers[1], "group": group})
    return found


train = Dataset.from_list(preferences("experts", 0.7) + preferences("crowd", 0.95))
test = Dataset.from_list(preferences("crowd", 0.95) + preferences("auditors", 0.1))

words = ["<pad>", "<end>", "<unknown>", "is", "it", "so", "?", "yes", "right", "no", "wrong", "well"]
vocabulary = models.WordLevel({word: k for k, word in enumerate(words)}, unk_token="<unknown>")
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(vocabulary), pad_token="<pad>", eos_token="<end>")
tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
model = GPT2LMHeadModel(
    GPT2Config(vocab_size=len(words), n_embd=32, n_layer=2, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=1)
)

args = MetaIRMDPOConfig(
    "outputs/dpo",
    environment_column="group",
    std_loss_weight=10.0,
    per_device_train_batch_size=64,
    learning_rate=1e-2,
    max_steps=60,
    logging_steps=20,
    report_to="none",
    bf16=False,
    use_cpu=True,
)
trainer = MetaIRMDPOTrainer(
    model=model,
    args=args,
    train_dataset=train,
    eval_dataset=test,
    processing_class=tokenizer,
    peft_config=LoraConfig(r=8, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True),
)
trainer.train()
for name, value in trainer.evaluate().items():
    print(f"{name}: {value:.4g}")
