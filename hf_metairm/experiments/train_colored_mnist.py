"""
Train the perceptron of the Colored MNIST experiments by ERM and by meta-IRM with the same budget, and compare them in
every environment, the unseen one included.

```bash
accelerate launch trainer_examples/train_colored_mnist.py --config trainer_examples/configs/colored_mnist.yaml
```
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from accelerate import PartialState
from transformers import set_seed

from ..data import ColoredMNIST, TensorRows
from ..models import ColoredMNISTClassifier, ColoredMNISTConfig
from ..trainer import ALGORITHMS, EnvironmentTrainer
from ..trainer.model_card import CardDetails
from .command import run_command
from .comparison import Comparison, ComparisonArguments
from .settings import Settings, read_settings


@dataclass
class ColoredMNISTArguments(ComparisonArguments):
    """What to train on what; see `help` of each field."""

    hidden_size: int = field(default=256, metadata={"help": "Units in each of the two hidden layers."})


class ColoredMNISTComparison(Comparison[ColoredMNISTArguments]):
    """Colored MNIST in one of its configs."""

    def __init__(self, settings: Settings[ColoredMNISTArguments]):
        super().__init__(settings)
        self._data: dict[tuple[str, int], tuple[ColoredMNIST, TensorRows, TensorRows]] = {}

    def title(self) -> str:
        """The config."""
        return f"Colored MNIST, {self.arguments.dataset_config or 'binary'}"

    def card_details(self, dataset_config: str | None, seed: int) -> CardDetails:
        """The construction's config, and the digits that it was made from."""
        builder, _, _ = self.data(dataset_config or "binary", seed)
        assert builder.data_source is not None
        return CardDetails(
            dataset=builder.TITLE,
            dataset_args=builder.config.name,
            dataset_citation=builder.CITATION,
            notes=f"The data were made from {builder.data_source.title}, with seed {seed}.",
        )

    def make_trainer(
        self, algorithm: str, dataset_config: str | None, seed: int, folder: Path, stack: ExitStack
    ) -> EnvironmentTrainer:
        """A new perceptron, as wide as the settings say, for as many colours and pixels as the images have."""
        builder, train, test = self.data(dataset_config or "binary", seed)
        args = self.settings.config(algorithm, output_dir=str(folder), seed=seed)
        _, channels, size, _ = train["pixel_values"].shape
        labels = builder.info.features["label"].names
        set_seed(seed)
        model = ColoredMNISTClassifier(
            ColoredMNISTConfig(
                channels=channels,
                image_size=size,
                hidden_size=self.arguments.hidden_size,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: k for k, label in enumerate(labels)},
            )
        )
        return ALGORITHMS[algorithm][0](model, args, train_dataset=train, eval_dataset=test)

    def data(self, config: str, seed: int) -> tuple[ColoredMNIST, TensorRows, TensorRows]:
        """The build of a config, drawn with a seed, and its training and test rows."""
        if (config, seed) not in self._data:
            with PartialState().main_process_first():
                builder = ColoredMNIST(config, source=self.arguments.source, seed=seed)
                builder.download_and_prepare()
            self._data[config, seed] = (builder, builder.as_tensors("train"), builder.as_tensors("test"))
        return self._data[config, seed]


def main(argv: list[str] | None = None) -> None:
    """The whole job: see the module's docstring."""
    run_command(lambda: ColoredMNISTComparison(read_settings(ColoredMNISTArguments, argv)).carry_out())


if __name__ == "__main__":
    main()
