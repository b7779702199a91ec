# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_metairm[trl]"]
#
# [tool.uv.sources]
# hf_metairm = { path = "..", editable = true }
# ///

"""
Supervised fine-tuning by meta-IRM, on sentences of two sites whose endings say something else at each.

    uv run trainer_examples/sft_text.py

A small model with random weights stands in for yours: with `GPT2LMHeadModel.from_pretrained("gpt2")` and its tokenizer
the rest stays. Takes a few seconds on a CPU. Without uv it needs `pip install '.[trl]'`.
"""

import random

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from hf_metairm import MetaIRMSFTConfig, MetaIRMSFTTrainer


def reviews(site: str, honest: float, rows: int = 200) -> list[dict]:
    """Prompts that end in a mark, which agrees with the review's first word in `honest` of the rows."""
    draws = random.Random(site)
    found = []
    for _ in range(rows):
        good = draws.random() < 0.5
        mark = "!" if (draws.random() < honest) == good else "."
        word = draws.choice(["fine", "great"] if good else ["dull", "poor"])
        found.append({"prompt": f"a {word} film {mark}", "completion": " good" if good else " bad", "site": site})
    return found


train = Dataset.from_list(reviews("paris", 0.9) + reviews("london", 0.7))
test = Dataset.from_list(reviews("paris", 0.9) + reviews("berlin", 0.1))

words = ["<pad>", "<end>", "<unknown>", "a", "film", "!", ".", "fine", "great", "dull", "poor", "good", "bad"]
vocabulary = models.WordLevel({word: k for k, word in enumerate(words)}, unk_token="<unknown>")
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(vocabulary), pad_token="<pad>", eos_token="<end>")
tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
model = GPT2LMHeadModel(
    GPT2Config(vocab_size=len(words), n_embd=32, n_layer=2, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=1)
)

args = MetaIRMSFTConfig(
    "outputs/sft",
    environment_column="site",
    std_loss_weight=1.0,
    per_device_train_batch_size=64,
    learning_rate=1e-2,
    max_steps=100,
    logging_steps=20,
    report_to="none",
    bf16=False,
    use_cpu=True,
)
trainer = MetaIRMSFTTrainer(model=model, args=args, train_dataset=train, eval_dataset=test, processing_class=tokenizer)
trainer.train()
for name, value in trainer.evaluate().items():
    print(f"{name}: {value:.4g}")
