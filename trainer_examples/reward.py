# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_metairm[trl]"]
#
# [tool.uv.sources]
# hf_metairm = { path = "..", editable = true }
# ///

"""
A reward model by meta-IRM, on preferences of two groups of people who like long answers to different degrees.

    uv run trainer_examples/reward.py

A small model with random weights stands in for yours: with `AutoModelForSequenceClassification.from_pretrained(name,
num_labels=1)` and its tokenizer the rest stays. Takes a few seconds on a CPU. Without uv it needs
`pip install '.[trl]'`.
"""

import random

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedTokenizerFast

from hf_metairm import MetaIRMRewardConfig, MetaIRMRewardTrainer


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
config = GPT2Config(
    vocab_size=len(words), n_embd=32, n_layer=2, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=1, num_labels=1
)
model = GPT2ForSequenceClassification(config)

args = MetaIRMRewardConfig(
    "outputs/reward",
    environment_column="group",
    std_loss_weight=10.0,
    per_device_train_batch_size=64,
    learning_rate=3e-3,
    max_steps=60,
    logging_steps=20,
    report_to="none",
    bf16=False,
    use_cpu=True,
)
trainer = MetaIRMRewardTrainer(
    model=model, args=args, train_dataset=train, eval_dataset=test, processing_class=tokenizer
)
trainer.train()
for name, value in trainer.evaluate().items():
    print(f"{name}: {value:.4g}")
