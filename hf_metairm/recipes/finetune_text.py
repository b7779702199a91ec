"""
Fine-tune a text classifier on text from several environments, by ERM and by meta-IRM with the same budget, and compare
them in every environment, the unseen one included.

```bash
accelerate launch trainer_examples/finetune_text.py --config trainer_examples/configs/punctuated_sst2.yaml
```
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import DataCollatorWithPadding, set_seed

from ..datasets import TensorRows
from ..models import encode_sentences, encoder_stepped_over
from ..trainers import ALGORITHMS, EnvironmentTrainer
from .command import run_command
from .runs import Run, carry_out
from .settings import Settings, read_settings
from .summary import write_summary
from .text_data import TextData, load_own, load_punctuated_sst2
from .text_model import choose_trainable, load_classifier, load_tokenizer


@dataclass
class TextArguments:
    """What to train on what; see `help` of each field."""

    output_dir: str = field(default="outputs/text", metadata={"help": "Where results and checkpoints go."})
    dataset: str = field(
        default="punctuated_sst2",
        metadata={"help": "punctuated_sst2, a CSV, TSV, JSON or Parquet file, a folder, or a name on the Hub."},
    )
    dataset_config: str | None = field(default=None, metadata={"help": "The dataset's config, if it has several."})
    source: str = field(
        default="auto", metadata={"help": "Where punctuated_sst2 is built from: auto, hub, bundled, or a folder."}
    )
    reference_config: str | None = field(
        default=None,
        metadata={"help": "Another config, without the spurious cue, on which ERM is trained as the reference."},
    )
    text_column: str = field(default="sentence", metadata={"help": "The column with the text."})
    label_column: str = field(default="label", metadata={"help": "The column with the label."})
    environment_column: str = field(default="environment", metadata={"help": "The column that names environments."})
    test_split: str = field(default="test", metadata={"help": "The split to test on."})
    test_share: float = field(default=0.2, metadata={"help": "Share of rows to test on where there is no such split."})
    unseen_environments: list[str] = field(
        default_factory=list, metadata={"help": "Environments to test on and never train on."}
    )
    model_name_or_path: str = field(
        default="minilm", metadata={"help": "minilm (extra demo), a model on the Hub, or a folder."}
    )
    trainable: str = field(default="all", metadata={"help": "all, head, top:1 (or more layers), or lora."})
    lora_rank: int = field(default=8, metadata={"help": "Rank of the adapters of trainable=lora."})
    max_length: int = field(default=128, metadata={"help": "Tokens in a text; longer ones are cut."})
    seeds: list[int] = field(default_factory=lambda: [0], metadata={"help": "One run of each algorithm per seed."})
    table_environments: list[str] = field(
        default_factory=list, metadata={"help": "Environments in the table; all of them if empty."}
    )
    overwrite: bool = field(default=False, metadata={"help": "Repeat runs whose results are there."})


# What a run's result does not depend on.
NOT_OF_A_RUN = ("output_dir", "seeds", "table_environments", "overwrite", "reference_config")


def main(argv: list[str] | None = None) -> None:
    """The whole job: see the module's docstring."""
    run_command(lambda: compare(read_settings(TextArguments, argv)))


def compare(settings: Settings[TextArguments]) -> list[dict[str, Any]]:
    """Carry out every run that the settings ask for, and write the table, the picture and the raw results."""
    arguments = settings.arguments
    job = TextJob(settings)
    results = carry_out(list(job.runs()), Path(arguments.output_dir), arguments.overwrite)
    if PartialState().is_main_process:
        title = f"{job.description}, {arguments.model_name_or_path} ({arguments.trainable} trained)"
        write_summary(results, Path(arguments.output_dir), title, arguments.table_environments or None)
        print(f"Results, table and picture: {arguments.output_dir}")
    return results


class TextJob:
    """Data, models and Trainers for the runs of one comparison; what the runs share is made once."""

    def __init__(self, settings: Settings[TextArguments]):
        self.settings = settings
        self.arguments = settings.arguments
        self.tokenizer = load_tokenizer(self.arguments.model_name_or_path)
        self.description = self.arguments.dataset
        self._data: dict[tuple[str | None, int], TextData] = {}

    def runs(self) -> Iterator[Run]:
        """ERM without the cue, where there is such a config, then every algorithm, for each seed."""
        for seed in self.arguments.seeds:
            if self.arguments.reference_config:
                yield self._run("erm, no cue", "erm", self.arguments.reference_config, seed)
            for algorithm in self.settings.algorithms:
                yield self._run(algorithm, algorithm, self.arguments.dataset_config, seed)

    def _run(self, name: str, algorithm: str, dataset_config: str | None, seed: int) -> Run:
        data_and_model = {k: v for k, v in asdict(self.arguments).items() if k not in NOT_OF_A_RUN}
        settings = {
            **data_and_model,
            "dataset_config": dataset_config,
            "algorithm": algorithm,
            **self.settings.fields[algorithm],
            "seed": seed,
        }

        def make_trainer(folder: Path, stack: ExitStack) -> EnvironmentTrainer:
            return self._make_trainer(algorithm, self.data(dataset_config, seed), seed, folder, stack)

        return Run(name, seed, settings, make_trainer)

    def _make_trainer(
        self, algorithm: str, data: TextData, seed: int, folder: Path, stack: ExitStack
    ) -> EnvironmentTrainer:
        trainer_class = ALGORITHMS[algorithm][0]
        args = self.settings.config(algorithm, output_dir=str(folder), seed=seed, environment_column="environment")
        set_seed(seed)
        labels = data.train.features["label"].names
        model = load_classifier(self.arguments.model_name_or_path, labels)
        model = choose_trainable(model, self.arguments.trainable, self.arguments.lora_rank)
        if self.arguments.trainable == "head":
            # The encoder gives the same output at every step: run it once, and train the head on that.
            train, test = self._encoded(model, data)
            stack.enter_context(encoder_stepped_over(model))
            return trainer_class(model, args, train_dataset=train, eval_dataset=test, processing_class=self.tokenizer)
        train, test = self._tokenized(data.train), self._tokenized(data.test)
        return trainer_class(
            model,
            args,
            train_dataset=train,
            eval_dataset=test,
            processing_class=self.tokenizer,
            data_collator=DataCollatorWithPadding(self.tokenizer),
        )

    def data(self, config: str | None, seed: int) -> TextData:
        """The rows of a config, drawn with a seed."""
        if (config, seed) not in self._data:
            a = self.arguments
            if a.dataset == "punctuated_sst2":
                data = load_punctuated_sst2(config or "noise_25", a.source, seed)
            else:
                columns = {
                    "text_column": a.text_column,
                    "label_column": a.label_column,
                    "environment_column": a.environment_column,
                }
                data = load_own(
                    a.dataset,
                    config,
                    test_split=a.test_split,
                    unseen_environments=a.unseen_environments,
                    test_share=a.test_share,
                    seed=seed,
                    **columns,
                )
            self._data[config, seed] = data
            self.description = data.description
        return self._data[config, seed]

    def _tokenized(self, dataset: Any) -> Any:
        return dataset.map(
            lambda rows: self.tokenizer(rows["sentence"], truncation=True, max_length=self.arguments.max_length),
            batched=True,
            desc="Tokenizing",
        )

    def _encoded(self, model: Any, data: TextData) -> tuple[TensorRows, TensorRows]:
        """The rows with the frozen encoder's output in place of the sentence; kept on disk for the other runs."""
        a = self.arguments
        file = Path(a.output_dir, "encoder_outputs.pt")
        key = {"model": a.model_name_or_path, "max_length": a.max_length}
        state = PartialState()
        with state.main_process_first():
            kept = torch.load(file) if file.is_file() else {}
            found = kept["outputs"] if kept.get("key") == key else {}
            wanted = {*data.train["sentence"], *data.test["sentence"]} - set(found)
            if wanted:
                found.update(encode_sentences(model.to(state.device), self.tokenizer, list(wanted), a.max_length))
                if state.is_main_process:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    torch.save({"key": key, "outputs": found}, file)
        parts = []
        for part in (data.train, data.test):
            columns = {
                "inputs_embeds": torch.stack([found[s] for s in part["sentence"]]),
                "labels": torch.tensor(part["label"][:]),
                "environment": list(map(str, part["environment"])),
            }
            parts.append(TensorRows(columns))
        return parts[0], parts[1]


if __name__ == "__main__":
    main()
