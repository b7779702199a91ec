"""The paper's perceptrons on tensors: rows that pass through no per-row Python, however large the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, set_seed

from ..data import DATASETS, TensorRows
from ..data.textfiles import open_text
from ..models import BagOfEmbeddingsClassifier, BagOfEmbeddingsConfig, ColoredMNISTClassifier, ColoredMNISTConfig
from ..trainer import ALGORITHMS, EnvironmentTrainer
from .expectation import BOTH, expectation_of
from .measure import of_a_table
from .run import Result, Run
from .training import Tell, train_run


@dataclass(frozen=True)
class Data:
    """
    What an experiment needs of a dataset.

    Args:
        train (`TensorRows`): the training environments.
        validation (`TensorRows`): other rows of the training environments.
        test (`TensorRows`): the environments asked for.
        source (`str`): where the dataset came from, in words.
        labels (`list[str]`): names of the classes.
        measure (`Callable`, *optional*): makes the results by environment of logits of the test rows, where these are
            not those that are evaluated, see [`expectation_of`].
    """

    train: TensorRows
    validation: TensorRows
    test: TensorRows
    source: str
    labels: list[str]
    measure: Callable[[np.ndarray], dict[str, dict[str, float]]] | None = None


def load(
    dataset: str,
    config: str,
    seed: int,
    *,
    changes: Mapping[str, Any] | None = None,
    environments: Sequence[str] | None = None,
    source: str = "auto",
    word_vectors: str | None = None,
    expectation: bool = False,
) -> Data:
    """
    A dataset with its draws (label noise, cue, order) made with `seed`. The one loaded last is kept.

    Args:
        dataset (`str`): one of [`DATASETS`], of images or of sentences.
        config (`str`): of the dataset.
        seed (`int`): of all draws.
        changes (`Mapping`, *optional*): fields of the config to change.
        environments (`Sequence[str]`, *optional*): of the test rows; all there are by default.
        source (`str`, *optional*, defaults to `"auto"`): where the dataset is built from: auto, hub, bundled, or a
            folder.
        word_vectors (`str`, *optional*): a file in GloVe's format, for sentences.
        expectation (`bool`, *optional*, defaults to `False`): whether the environments are expectations over their
            draws, see [`expectation_of`]; the test rows are then all there are with either cue.
    """
    fields = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in sorted((changes or {}).items()))
    shown = environments and tuple(environments)
    return _load(dataset, config, seed, fields, shown, source, word_vectors, expectation)


@lru_cache(maxsize=1)
def _load(
    dataset: str,
    config: str,
    seed: int,
    changes: tuple[tuple[str, Any], ...],
    environments: tuple[str, ...] | None,
    source: str,
    word_vectors: str | None,
    expectation: bool,
) -> Data:
    both = {"test_environments": BOTH} if expectation else {}
    builder = DATASETS.choose(dataset)(config, source=source, seed=seed, **dict(changes), **both)
    builder.download_and_prepare()
    title, labels = builder.data_source.title, builder.info.features["label"].names
    if "image" in builder.info.features:
        train, validation = builder.as_tensors("train"), builder.as_tensors("validation")
        return Data(train, validation, builder.as_tensors("test", environments=environments), title, labels)
    splits = builder.as_dataset()
    encode = _MeanOfWordVectors(splits["train"]["sentence"], word_vectors)
    rows = {name: encode.rows(split) for name, split in splits.items()}
    test = rows["test"]
    if expectation:
        measure = expectation_of(splits["test"], builder.CUES, builder.config.label_noise, environments or ())
        return Data(rows["train"], rows["validation"], test, title, labels, measure)
    wanted = [k for k, name in enumerate(test["environment"]) if environments is None or name in environments]
    return Data(rows["train"], rows["validation"], test.select(wanted), title, labels)


def make_model(data: Data, hidden_size: int) -> PreTrainedModel:
    """The paper's perceptron for this data, with weights drawn from torch's generator."""
    labels: dict[str, Any] = {
        "num_labels": len(data.labels),
        "id2label": dict(enumerate(data.labels)),
        "label2id": {label: k for k, label in enumerate(data.labels)},
    }
    if "pixel_values" in data.train.column_names:
        _, channels, size, _ = data.train["pixel_values"].shape
        return ColoredMNISTClassifier(
            ColoredMNISTConfig(channels=channels, image_size=size, hidden_size=hidden_size, **labels)
        )
    size = data.train["inputs_embeds"].shape[-1]
    # The word vectors are frozen and their means are in the data: no vocabulary is needed here.
    return BagOfEmbeddingsClassifier(
        BagOfEmbeddingsConfig(vocab_size=1, embedding_size=size, hidden_size=hidden_size, **labels)
    )


def train_perceptron(
    run: Run,
    folder: Path,
    tell: Callable[[int], None],
    *,
    source: str = "auto",
    word_vectors: str | None = None,
    device: str | None = None,
) -> Result:
    """
    Carry out a run whose settings name `dataset`, `dataset_config`, `dataset_changes`, `environments`, `algorithm`,
    `hidden_size`, `steps`, `batch` (a number of rows, or `"full"`), `seed`, and in `fields` those of the algorithm's
    Config. The result has `test` and `validation`.

    Args:
        run ([`Run`]): what to train.
        folder (`Path`): of its checkpoints.
        tell (`Callable`): takes the number of steps taken, now and then.
        source (`str`, *optional*, defaults to `"auto"`), word_vectors (`str`, *optional*): see [`load`].
        device (`str`, *optional*): `"cpu"` or `"cuda"`; a GPU if there is one, by default.
    """
    settings = run.settings
    data = load(
        settings["dataset"],
        settings["dataset_config"],
        settings["seed"],
        changes=settings["dataset_changes"],
        environments=settings["environments"],
        source=source,
        word_vectors=word_vectors,
        expectation=settings.get("expectation", False),
    )

    def make_trainer(folder: Path, stack: ExitStack) -> EnvironmentTrainer:
        trainer_class, config_class = ALGORITHMS[settings["algorithm"]]
        protocol = {"lr_scheduler_type": "constant", "max_grad_norm": 0.0, "weight_decay": 0.0}
        args = config_class(
            output_dir=str(folder),
            per_device_train_batch_size=len(data.train) if settings["batch"] == "full" else settings["batch"],
            per_device_eval_batch_size=10_000,
            max_steps=settings["steps"],
            logging_steps=50,
            save_steps=100,
            save_total_limit=1,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            use_cpu=device == "cpu",
            seed=settings["seed"],
            **{**protocol, **settings["fields"]},
        )
        set_seed(settings["seed"])
        model = make_model(data, settings["hidden_size"])
        kind = whole_batches(trainer_class) if settings["batch"] == "full" else trainer_class
        trainer = kind(model, args, train_dataset=data.train, eval_dataset=data.test)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Tell(tell))
        return trainer

    def measure(trainer: EnvironmentTrainer) -> dict[str, Any]:
        found = of_a_table(trainer, data.validation, data.test, data.labels, data.measure)
        return {"source": data.source, **found}

    result = train_run(run, folder, make_trainer, measure)
    del result["history"]  # Long, and there are many runs.
    return result


def whole_batches(trainer_class: type[EnvironmentTrainer]) -> type[EnvironmentTrainer]:
    """
    A Trainer whose every batch is the whole training dataset: taken apart by environment once, and on the device from
    then on. To gather the same 50,000 rows anew takes a GPU three times as long as the rest of a step of ERM.
    """

    class WholeBatches(trainer_class):  # type: ignore[misc, valid-type]  # A class that only the call knows.
        def get_train_dataloader(self) -> DataLoader[Any]:
            whole: Any = [self.probe(list(range(len(self.train_dataset))))]
            return DataLoader(whole, batch_size=1, collate_fn=itemgetter(0))

    WholeBatches.__name__ = trainer_class.__name__
    return WholeBatches


class _MeanOfWordVectors:
    """Sentences as the mean of their frozen word vectors: what the model would compute anew at every step."""

    def __init__(self, training_sentences: Sequence[str], file: str | None):
        from ..models.word_tokenizer import word_tokenizer

        if file is None:
            raise ValueError(
                "The PunctuatedSST-2 tables train on frozen word vectors: name a file in GloVe's format with "
                "--word_vectors."
            )
        if not Path(file).is_file():
            raise ValueError(f"--word_vectors {file}: there is no such file.")
        with open_text(Path(file)) as lines:
            first = [line.split() for line in islice(lines, 2)]
        if len(first) < 2 or len(first[1]) < 2:
            raise ValueError(f"--word_vectors {file}: a word and its numbers stand on each line, and here are none.")
        size = len(first[1]) - 1
        self._tokenizer = word_tokenizer(training_sentences)
        model = BagOfEmbeddingsClassifier(
            BagOfEmbeddingsConfig(vocab_size=len(self._tokenizer), embedding_size=size, hidden_size=1)
        )
        model.load_word_vectors(file, self._tokenizer.get_vocab())
        self._vectors: Tensor = model.embeddings.weight.detach()

    def rows(self, split: Any) -> TensorRows:
        """The columns that a Trainer wants; `inputs_embeds` of shape (n, 1, size)."""
        ids = self._tokenizer(list(split["sentence"]), add_special_tokens=False)["input_ids"]
        none = torch.zeros(self._vectors.shape[1])
        means = [self._vectors[torch.tensor(words)].mean(0) if words else none for words in ids]
        return TensorRows(
            {
                "inputs_embeds": torch.stack(means).unsqueeze(1),
                "labels": torch.from_numpy(np.array(split["label"], dtype=np.int64)),
                "environment": list(split["environment"]),
            }
        )
