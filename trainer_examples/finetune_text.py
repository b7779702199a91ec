# /// script
# requires-python = ">=3.10"
# dependencies = ["hf_metairm[demo]"]
#
# [tool.uv.sources]
# hf_metairm = { path = "..", editable = true }
# ///

"""
Fine-tune a sentence encoder on text from several environments, by one algorithm, and see how it does in each of them.

    uv run trainer_examples/finetune_text.py --algorithm meta-irm --freeze_encoder    # without a GPU
    accelerate launch trainer_examples/finetune_text.py --algorithm meta-irm
    accelerate launch trainer_examples/finetune_text.py --algorithm erm --max_steps 200 --learning_rate 1e-4

The data are PunctuatedSST-2: sentiment of movie reviews, whose final mark, " ." or " !", agrees with the label with
probability 1 - p. Two environments are trained on, p=0.1 and p=0.2; at p=0.9 the mark says the opposite. Without uv
it needs `pip install '.[demo]'`. Every field of the algorithm's Config is an option.
"""

import argparse
from dataclasses import dataclass, field

from accelerate import PartialState
from transformers import AutoModelForSequenceClassification, AutoTokenizer, HfArgumentParser, set_seed

from hf_metairm import PunctuatedSST2
from hf_metairm.models.pretrained import resolve_model
from hf_metairm.trainer import ALGORITHMS


@dataclass
class ScriptArguments:
    """What to train on what; see `help` of each field."""

    algorithm: str = field(default="meta-irm", metadata={"help": "One of the algorithms.", "choices": [*ALGORITHMS]})
    model_name_or_path: str = field(default="minilm", metadata={"help": "minilm, a folder, or a model on the Hub."})
    dataset_config: str = field(default="noise_25", metadata={"help": "A config of PunctuatedSST-2."})
    freeze_encoder: bool = field(default=False, metadata={"help": "Train the classification head alone."})
    max_length: int = field(default=64, metadata={"help": "Tokens in a sentence; longer ones are cut."})


def main() -> None:
    """Load, tokenize, train, evaluate, push."""
    # Which algorithm, and with it which Config
    chooser = argparse.ArgumentParser(add_help=False)
    chooser.add_argument("--algorithm", default=ScriptArguments.algorithm, choices=[*ALGORITHMS])
    trainer_class, config_class = ALGORITHMS[chooser.parse_known_args()[0].algorithm]
    parser = HfArgumentParser((ScriptArguments, config_class))
    parser.set_defaults(
        output_dir="outputs/finetune_text",
        per_device_train_batch_size=32,  # rows of both environments together
        per_device_eval_batch_size=128,
        max_steps=100,
        learning_rate=5e-5,
        logging_steps=10,
        report_to="none",
    )
    script, args = parser.parse_args_into_dataclasses()
    set_seed(args.seed)

    # Data, with the columns `sentence`, `label` and `environment`
    with PartialState().main_process_first():
        builder = PunctuatedSST2(script.dataset_config, source="bundled")
        builder.download_and_prepare()
    dataset = builder.as_dataset()
    # Three of the nine environments to test on, and few of their rows, for those who have no GPU
    shown = dataset["test"].filter(lambda row: row["environment"] in ("p=0.1", "p=0.2", "p=0.9"))
    dataset["test"] = shown.shuffle(seed=0).select(range(1200))

    # Model and tokenizer
    path = resolve_model(script.model_name_or_path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=2)
    if script.freeze_encoder:
        model.base_model.requires_grad_(False)
    dataset = dataset.map(
        lambda rows: tokenizer(rows["sentence"], truncation=True, max_length=script.max_length), batched=True
    )

    # Training
    trainer = trainer_class(
        model,
        args,
        train_dataset=dataset["train"],
        eval_dataset=dataset["test"],
        processing_class=tokenizer,
    )
    trainer.train()

    # Accuracy in every environment, the unseen ones included
    metrics = trainer.evaluate()
    trainer.log_metrics("eval", metrics)
    trainer.save_metrics("eval", metrics)
    trainer.save_model()
    trainer.create_model_card(language="en", dataset=builder.TITLE, dataset_args=script.dataset_config)
    if args.push_to_hub:
        trainer.push_to_hub()


if __name__ == "__main__":
    main()
