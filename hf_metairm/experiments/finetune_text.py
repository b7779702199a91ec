"""
Fine-tune a text classifier on text from several environments, by ERM and by meta-IRM with the same budget, and compare
them in every environment, the unseen one included.

```bash
hf-metairm train --config punctuated_sst2
```
"""

from __future__ import annotations

import hashlib
import logging
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import PartialState
from transformers import DataCollatorWithPadding, set_seed

from ..cards.facts import CardDetails
from ..data import DATASETS, ReadOptions, TensorRows
from ..data.fingerprint import fingerprint
from ..data.own import OwnData, divide, read_own
from ..environments import read_environments
from ..models import encode_sentences, encoder_skipped
from ..models.fingerprint import model_fingerprint
from ..models.pretrained import MINILM
from ..models.reading import check_model, cut_to, load_tokenizer
from ..models.text_classifier import choose_trainable, load_classifier
from ..trainer import ALGORITHMS, EnvironmentTrainer
from ..trainer.checks import check_environments
from .command import run_command
from .comparison import REFERENCE_NAME, Comparison, ComparisonArguments
from .encoder_outputs import EncoderOutputs, key_of_encoder
from .example_texts import print_examples
from .heads import DEFAULTS, head_trainer
from .listing import Row, listed
from .run import Result, Run
from .settings import Settings, read_settings
from .stage_one import StageOneArguments
from .store import Store
from .tokens import Tokenize, tokenized
from .two_stages import Features, TwoStages


@dataclass
class TextArguments(StageOneArguments, ComparisonArguments):
    """What to train on what; see `help` of each field."""

    dataset: str = field(
        default="punctuated_sst2",
        metadata={"help": "punctuated_sst2, a CSV, TSV, JSON or Parquet file, a folder, or a name on the Hub."},
    )
    text_column: str | None = field(
        default=None, metadata={"help": "The column with the text; sentence or text by default."}
    )
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
    stages: str = field(
        default="one",
        metadata={
            "help": "one: the algorithm trains the model. two: ERM fine-tunes it, the algorithm trains a small head.",
            "choices": ("one", "two"),
        },
    )
    examples: list[str] = field(
        default_factory=list,
        metadata={"help": "Texts that every model classifies at the end; its card shows them as well."},
    )
    missing_values: list[str] = field(
        default_factory=list, metadata={"help": "Words that stand for a missing value in files, such as NA."}
    )
    quoted: bool | None = field(
        default=None, metadata={"help": "Whether fields may stand in quotation marks: CSV true, TSV false by default."}
    )

    used_if = {  # noqa: RUF012
        "lora_rank": {"trainable": "lora"},
        **{f.name: {"stages": "two"} for f in fields(StageOneArguments)},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("max_length", "lora_rank"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is refused: use a number from 1 on.")


logger = logging.getLogger(__name__)

ADDED = ("features_bf16", "stage_one_sampling")  # after results without them had been published

ROWS_PER_ENVIRONMENT = 16
MOST_TOKENIZED = 100_000  # texts that are tokenized before training starts, within seconds
LEARNING_RATE, LEARNING_RATE_OF_HEADS = 5e-5, 5e-4
# Of fields of the Configs, in words, for `--list-settings`.
SAID_DEFAULTS = {
    "learning_rate": f"{LEARNING_RATE:g}; {LEARNING_RATE_OF_HEADS:g} where trainable is head or lora; "
    f"{DEFAULTS['learning_rate']:g} with stages two",
    "per_device_train_batch_size": f"{ROWS_PER_ENVIRONMENT} of each environment; all rows with stages two",
    "max_steps": f"-1: as num_train_epochs says; {DEFAULTS['max_steps']} with stages two",
    "lr_scheduler_type": f"linear; {DEFAULTS['lr_scheduler_type']} with stages two",
    "max_grad_norm": f"1.0; {DEFAULTS['max_grad_norm']:g} with stages two",
}
TRAINED = {
    "all": "All of the model was trained.",
    "head": "Only the classification head was trained; the encoder is as it was.",
    "top": "The classification head and the encoder's last layers were trained; the layers before are as they were.",
    "lora": "Low-rank adapters and the classification head were trained.",
}


class TextComparison(Comparison[TextArguments]):
    """Text classifiers on one dataset; what the runs share is made once."""

    def __init__(self, settings: Settings[TextArguments]):
        super().__init__(settings)
        check_model(self.arguments.model_name_or_path)
        self.tokenizer = load_tokenizer(self.arguments.model_name_or_path)
        # Saved with the model, so that whoever cuts texts for it cuts them as in training.
        self.tokenizer.model_max_length = min(self.tokenizer.model_max_length, self.arguments.max_length)
        self._rows: dict[tuple[str | None, int], OwnData] = {}
        self._own: dict[str | None, datasets.DatasetDict] = {}
        self._origins: dict[tuple[str | None, int], str] = {}
        self._outputs: EncoderOutputs | None = None
        self._two_stages: dict[tuple[str | None, int], tuple[TwoStages, Features]] = {}

    def title(self) -> str:
        """The dataset, the model, and how much of it was trained."""
        dataset = Path(self.arguments.dataset).name
        config = f" ({self.arguments.dataset_config})" if self.arguments.dataset_config else ""
        return f"{dataset}{config}, {self.arguments.model_name_or_path}, trained: {self.arguments.trainable}"

    def card_details(self, dataset_config: str | None, seed: int) -> CardDetails:
        """The data's name and config, and how much of the model was trained."""
        data = self.data(dataset_config, seed)
        details = CardDetails(
            license="apache-2.0" if self.arguments.model_name_or_path == MINILM else None,
            dataset=data.name,
            dataset_tags=data.on_hub,
            dataset_args=dataset_config,
            notes=self._what_was_trained(),
            environment_column=self.arguments.environment_column if data.name not in DATASETS else None,
            examples=self.arguments.examples or None,
        )
        if data.name not in DATASETS:
            return details
        origin = f"{details.notes} The data were made from {self._origins[dataset_config, seed]}, with seed {seed}."
        return details.updated(notes=origin, language="en", dataset_citation=DATASETS[data.name].CITATION)

    def _what_was_trained(self) -> str:
        trained = TRAINED[self.arguments.trainable.partition(":")[0]]
        if self.arguments.stages == "one":
            return trained
        units, rows = self.arguments.head_units, self.arguments.head_rows
        head = f"The algorithm trained a new head of {units} units on the encoder's output for its rows."
        if self.arguments.trainable == "head":
            return head
        others = "a part of these rows" if rows == "all" else "other rows"
        return f"{head} Before that, ERM fine-tuned the classifier on {others}. {trained}"

    def make_trainer(
        self, algorithm: str, dataset_config: str | None, seed: int, folder: Path, stack: ExitStack
    ) -> EnvironmentTrainer:
        """A new classifier on the pretrained encoder, of which `trainable` says how much is trained."""
        if self.arguments.stages == "two":
            trainer = self._head_trainer(algorithm, dataset_config, seed, folder)
        else:
            trainer = self._whole_trainer(algorithm, dataset_config, seed, folder, stack)
        trainer.trained_texts = self.data(dataset_config, seed).train["sentence"]
        return trainer

    def _whole_trainer(
        self, algorithm: str, dataset_config: str | None, seed: int, folder: Path, stack: ExitStack
    ) -> EnvironmentTrainer:
        data = self.data(dataset_config, seed)
        trainer_class = ALGORITHMS[algorithm][0]
        defaults = self._defaults(algorithm, data.train)
        args = self.settings.config(
            algorithm, defaults, output_dir=str(folder), seed=seed, environment_column="environment"
        )
        set_seed(seed)
        trainable, labels = self.arguments.trainable, data.train.features["label"].names
        model = load_classifier(self.arguments.model_name_or_path, labels, mean_pooling=trainable != "lora")
        cut_to(self.tokenizer, model)
        model = choose_trainable(model, trainable, self.arguments.lora_rank)
        if trainable == "head":
            # The frozen encoder says the same at every step: run it once, and train the head on what it said.
            train, test = self.encoded(model, data.train), self.encoded(model, data.test)
            stack.enter_context(encoder_skipped(model))
            return trainer_class(model, args, train_dataset=train, eval_dataset=test, processing_class=self.tokenizer)
        return trainer_class(
            model,
            args,
            train_dataset=self._tokenized(data.train, not args.remove_unused_columns),
            eval_dataset=self._tokenized(data.test, not args.remove_unused_columns),
            processing_class=self.tokenizer,
            data_collator=DataCollatorWithPadding(self.tokenizer),
        )

    def _head_trainer(self, algorithm: str, dataset_config: str | None, seed: int, folder: Path) -> EnvironmentTrainer:
        two_stages, features = self.two_stages(dataset_config, seed)
        own = ALGORITHMS[algorithm][1]
        defaults = {**DEFAULTS, **own.on_own_data, **own.on_features}
        args = self.settings.config(
            algorithm, defaults, output_dir=str(folder), seed=seed, environment_column="environment"
        )
        return head_trainer(algorithm, features, args, units=self.arguments.head_units, two_stages=two_stages)

    def two_stages(self, dataset_config: str | None, seed: int) -> tuple[TwoStages, Features]:
        """The fine-tuned encoder and the features that it finds, made once for all algorithms."""
        a, key = self.arguments, (dataset_config, seed)
        if key not in self._two_stages:
            two_stages = TwoStages(
                self.data(*key), self.tokenizer, a.model_name_or_path, a.trainable, a.lora_rank, a, seed, say=_say
            )
            self._two_stages[key] = two_stages, two_stages.features()
            if a.trainable != "head" and PartialState().is_main_process:
                self._keep_stage_one(dataset_config, seed, self._two_stages[key][1])
        return self._two_stages[key]

    def _keep_stage_one(self, dataset_config: str | None, seed: int, features: Features) -> None:
        trained_on = set(self.data(dataset_config, seed).train["environment"][:])
        run = self._stage_one(dataset_config, seed)
        unseen = [environment for environment in features.stage_one if environment not in trained_on]
        found = {"name": run.name, "seed": seed, "test": features.stage_one, "unseen": unseen}
        Store(Path(self.arguments.output_dir)).write(run, {**found, "settings": run.settings})

    def _stage_one(self, dataset_config: str | None, seed: int) -> Run:
        a = self.arguments
        names = [f.name for f in fields(StageOneArguments) if f.name.startswith("stage_one")]
        settings = {name: getattr(a, name) for name in names if name not in self._plain()}
        which = {"stage": 1, "dataset_config": dataset_config, "seed": seed, "trainable": a.trainable}
        return Run("stage one", {**which, **settings, **self.contents(dataset_config, seed)}, "stage_one")

    def data_and_model(self) -> dict[str, Any]:
        """Without what is said of the model alone, and what only counts in two stages where there is one."""
        of_two = () if self.arguments.stages == "two" else ("stages", *(f.name for f in fields(StageOneArguments)))
        return {k: v for k, v in super().data_and_model().items() if k not in ("examples", *of_two, *self._plain())}

    def _plain(self) -> list[str]:
        """Settings that results do not name where they are at their defaults: older results are still results."""
        return [name for name in ADDED if getattr(self.arguments, name) == getattr(StageOneArguments, name)]

    def carry_out(self) -> list[Result]:
        """As every recipe; at the end the models of the first seed classify `examples`."""
        results = super().carry_out()
        if self.arguments.examples and PartialState().is_main_process:
            store, first = Store(Path(self.arguments.output_dir)), self.arguments.seeds[0]
            runs = [run for run in self.runs() if run.seed == first and run.name != REFERENCE_NAME]
            print_examples({run.name: store.place(run, named=True) for run in runs}, self.arguments.examples)
        return results

    def other_results(self) -> list[Result]:
        """What plain fine-tuning, the first of two stages, left for the second."""
        if self.arguments.stages != "two" or self.arguments.trainable == "head":
            return []
        a = self.arguments
        runs = [self._stage_one(a.dataset_config, seed) for seed in a.seeds]
        return list(Store(Path(a.output_dir)).of(runs).values())

    def _defaults(self, algorithm: str, train: datasets.Dataset) -> dict[str, Any]:
        """What suits anyone's data where nothing is said: above all a batch that environments can share."""
        sizes = read_environments(train).sizes
        in_a_batch = self.settings.fields[algorithm].get("environments_per_batch") or len(sizes)
        return {
            **ALGORITHMS[algorithm][1].on_own_data,
            "per_device_train_batch_size": in_a_batch * min(ROWS_PER_ENVIRONMENT, *sizes.values()),
            "per_device_eval_batch_size": 64,
            "learning_rate": LEARNING_RATE_OF_HEADS if self.arguments.trainable in ("head", "lora") else LEARNING_RATE,
            "logging_steps": 10,
            "save_total_limit": 1,
            # A text itself is no input of the model, but very many are tokenized on their way there.
            "remove_unused_columns": len(train) <= MOST_TOKENIZED,
            "dataloader_pin_memory": torch.cuda.is_available(),
        }

    def data(self, config: str | None, seed: int) -> OwnData:
        """The rows of a config, drawn with a seed."""
        if (config, seed) not in self._rows:
            self._rows[config, seed] = self._load(config, seed)
        return self._rows[config, seed]

    def _load(self, config: str | None, seed: int) -> OwnData:
        a = self.arguments
        if a.dataset not in DATASETS:
            data = divide(self._read(config), a.dataset, a.unseen_environments, a.test_share, seed)
            check_environments(read_environments(data.train), a.environment_column)
            return data
        with PartialState().main_process_first():
            builder = DATASETS[a.dataset](config, source=a.source, seed=seed)
            builder.download_and_prepare()
        self._origins[config, seed] = builder.data_source.title
        train = builder.as_dataset("train")
        groups = train["sentence_id"][:] if "sentence_id" in train.column_names else None
        return OwnData(train, builder.as_dataset("test"), a.dataset, groups=groups)

    def _read(self, config: str | None) -> datasets.DatasetDict:
        """The user's rows, read once for all seeds."""
        a, state = self.arguments, PartialState()
        if config not in self._own:
            with state.main_process_first():
                self._own[config] = read_own(
                    a.dataset,
                    config,
                    (a.text_column, a.label_column, a.environment_column),
                    test_split=a.test_split,
                    options=ReadOptions(tuple(a.missing_values), a.quoted),
                    say=partial(print, file=sys.stderr) if state.is_main_process else logger.info,
                )
        return self._own[config]

    def contents(self, dataset_config: str | None, seed: int) -> dict[str, str]:
        """Digests of the rows and of the pretrained model, whatever their files and folders are called."""
        if self.arguments.dataset in DATASETS:
            data = self.data(dataset_config, seed)
            parts = [data.train, data.test]
        else:
            parts = list(self._read(dataset_config).values())
        rows = hashlib.sha256(" ".join(map(fingerprint, parts)).encode()).hexdigest()
        return {"rows_digest": rows[:16], "model_digest": model_fingerprint(self.arguments.model_name_or_path)[:16]}

    def _tokenized(self, dataset: Any, as_shown: bool) -> Any:
        """With the texts' tokens: made once, or, of very many texts, of those of a batch when it is shown."""
        if as_shown:
            return dataset.with_transform(Tokenize(self.tokenizer))
        return tokenized(dataset, self.tokenizer)

    def encoded(self, model: Any, dataset: Any) -> TensorRows:
        """Rows with the frozen encoder's output in place of the sentence; kept on disk for the other runs."""
        state, length = PartialState(), self.tokenizer.model_max_length
        sentences = dataset["sentence"][:]
        with state.main_process_first():
            if self._outputs is None:
                key = key_of_encoder(model, self.tokenizer, length)
                self._outputs = EncoderOutputs(Path(self.arguments.output_dir, "encoder_outputs.safetensors"), key)
            if wanted := self._outputs.missing(sentences):
                self._outputs.add(encode_sentences(model.to(state.device), self.tokenizer, wanted, length))
                if state.is_main_process:
                    self._outputs.save()
        columns: dict[str, Any] = {
            "inputs_embeds": self._outputs.of(sentences),
            "labels": torch.tensor(dataset["label"][:]),
            "environment": list(map(str, dataset["environment"][:])),
        }
        return TensorRows(columns)


def _say(line: str) -> None:
    """On the first process alone."""
    if PartialState().is_main_process:
        print(line, flush=True)


def settings() -> dict[str, list[Row]]:
    """Every setting, for `--list-settings`."""
    return listed(TextArguments, SAID_DEFAULTS, own=True)


def main(argv: list[str] | None = None) -> None:
    """The whole recipe: see the module's docstring."""
    run_command(lambda: TextComparison(read_settings(TextArguments, argv)).carry_out())


if __name__ == "__main__":
    main()
