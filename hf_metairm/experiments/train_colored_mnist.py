"""
Train the perceptron of the Colored MNIST experiments by ERM and by meta-IRM with the same budget, and compare them in
every environment, the unseen one included.

```bash
hf-metairm train --config colored_mnist
```
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from accelerate import PartialState
from transformers import set_seed

from ..cards.facts import CardDetails
from ..data import ColoredMNIST
from ..trainer import ALGORITHMS, EnvironmentTrainer
from .command import run_command
from .comparison import Comparison, ComparisonArguments
from .listing import Row, listed
from .perceptron import Data, load, make_model
from .settings import read_settings


@dataclass
class ColoredMNISTArguments(ComparisonArguments):
    """What to train on what; see `help` of each field."""

    hidden_size: int = field(default=256, metadata={"help": "Units in each of the two hidden layers."})


class ColoredMNISTComparison(Comparison[ColoredMNISTArguments]):
    """Colored MNIST in one of its configs."""

    search = "hf-metairm search colored_mnist"

    def title(self) -> str:
        """The config."""
        return f"Colored MNIST, {self.arguments.dataset_config or 'binary'}"

    def card_details(self, dataset_config: str | None, seed: int) -> CardDetails:
        """The construction's config, and the digits that it was made from."""
        config = dataset_config or "binary"
        return CardDetails(
            dataset=ColoredMNIST.TITLE,
            dataset_args=config,
            dataset_citation=ColoredMNIST.CITATION,
            notes=f"The data were made from {self.data(config, seed).source}, with seed {seed}.",
        )

    def make_trainer(
        self, algorithm: str, dataset_config: str | None, seed: int, folder: Path, stack: ExitStack
    ) -> EnvironmentTrainer:
        """A new perceptron, as wide as the settings say, for as many colours and pixels as the images have."""
        data = self.data(dataset_config or "binary", seed)
        args = self.settings.config(algorithm, output_dir=str(folder), seed=seed)
        set_seed(seed)
        model = make_model(data, self.arguments.hidden_size)
        return ALGORITHMS[algorithm][0](model, args, train_dataset=data.train, eval_dataset=data.test)

    def data(self, config: str, seed: int) -> Data:
        """The rows of a config, drawn with a seed."""
        with PartialState().main_process_first():
            return load(ColoredMNIST.TITLE, config, seed, source=self.arguments.source)


def settings() -> dict[str, list[Row]]:
    """Every setting, for `--list-settings`."""
    return listed(ColoredMNISTArguments, {})


def main(argv: list[str] | None = None) -> None:
    """The whole recipe: see the module's docstring."""
    run_command(lambda: ColoredMNISTComparison(read_settings(ColoredMNISTArguments, argv)).carry_out())


if __name__ == "__main__":
    main()
