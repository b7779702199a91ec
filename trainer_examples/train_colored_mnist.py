# /// script
# requires-python = ">=3.10"
# dependencies = ["hf_metairm"]
#
# [tool.uv.sources]
# hf_metairm = { path = "..", editable = true }
# ///

"""
Train the perceptron of the Colored MNIST experiments by one algorithm, and see how it does in each environment.

    uv run trainer_examples/train_colored_mnist.py --algorithm meta-irm --std_loss_weight 100
    accelerate launch trainer_examples/train_colored_mnist.py --algorithm erm

Digits are red or green, and the colour agrees with the label (noisy in one of four rows) with probability 1 - p. Two
environments are trained on, p=0.1 and p=0.2; at p=0.9 the colour says the opposite. The bundled digits need no
network; `--source hub` takes all of MNIST. Every field of the algorithm's Config is an option.
"""

import argparse
from dataclasses import dataclass, field

from accelerate import PartialState
from transformers import HfArgumentParser, set_seed

from hf_metairm import ColoredMNIST
from hf_metairm.models import ColoredMNISTClassifier, ColoredMNISTConfig
from hf_metairm.trainer import ALGORITHMS


@dataclass
class ScriptArguments:
    """What to train on what; see `help` of each field."""

    algorithm: str = field(default="meta-irm", metadata={"help": "One of the algorithms.", "choices": [*ALGORITHMS]})
    dataset_config: str = field(default="binary", metadata={"help": "A config of Colored MNIST with two classes."})
    source: str = field(default="bundled", metadata={"help": "bundled, hub, or a folder with MNIST."})
    hidden_size: int = field(default=256, metadata={"help": "Units in each of the two hidden layers."})


def main() -> None:
    """Load, train, evaluate, push."""
    # Which algorithm, and with it which Config
    chooser = argparse.ArgumentParser(add_help=False)
    chooser.add_argument("--algorithm", default=ScriptArguments.algorithm, choices=[*ALGORITHMS])
    trainer_class, config_class = ALGORITHMS[chooser.parse_known_args()[0].algorithm]
    parser = HfArgumentParser((ScriptArguments, config_class))
    parser.set_defaults(
        output_dir="outputs/train_colored_mnist",
        per_device_train_batch_size=7000,  # rows of both environments together: nearly all of the bundled ones
        per_device_eval_batch_size=10_000,
        max_steps=300,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        l2_regularization=0.01,
        max_grad_norm=0.0,
        logging_steps=50,
        report_to="none",
    )
    script, args = parser.parse_args_into_dataclasses()
    set_seed(args.seed)

    # Data, with the columns `pixel_values`, `labels` and `environment`, as tensors
    with PartialState().main_process_first():
        builder = ColoredMNIST(script.dataset_config, source=script.source)
        builder.download_and_prepare()
    train, test = builder.as_tensors("train"), builder.as_tensors("test")

    # Model
    _, channels, size, _ = train["pixel_values"].shape
    model = ColoredMNISTClassifier(
        ColoredMNISTConfig(channels=channels, image_size=size, hidden_size=script.hidden_size)
    )

    # Training
    trainer = trainer_class(model, args, train_dataset=train, eval_dataset=test)
    trainer.train()

    # Accuracy in every environment, the unseen ones included
    metrics = trainer.evaluate()
    trainer.log_metrics("eval", metrics)
    trainer.save_metrics("eval", metrics)
    trainer.save_model()
    trainer.create_model_card(dataset=builder.TITLE, dataset_args=script.dataset_config)
    if args.push_to_hub:
        trainer.push_to_hub()


if __name__ == "__main__":
    main()
