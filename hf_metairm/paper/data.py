"""The rows of an experiment as tensors, so that a full batch passes through no per-row Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..data import ColoredMNIST, PunctuatedSST2, TensorRows
from ..models import BagOfEmbeddingsClassifier, BagOfEmbeddingsConfig, ColoredMNISTClassifier, ColoredMNISTConfig


DATASETS = {cls.TITLE: cls for cls in (ColoredMNIST, PunctuatedSST2)}


@dataclass(frozen=True)
class Data:
    """
    What an experiment needs of a dataset.

    Args:
        train (`TensorRows`): the training environments.
        validation (`TensorRows`): other rows of the training environments.
        test (`TensorRows`): the environments asked for.
        source (`str`): where the dataset came from, in words.
    """

    train: TensorRows
    validation: TensorRows
    test: TensorRows
    source: str

    @property
    def num_labels(self) -> int:
        """The number of classes."""
        return int(self.train["labels"].max()) + 1


def load(
    dataset: str,
    config: str,
    changes: Mapping[str, Any],
    seed: int,
    environments: Sequence[str],
    source: str,
    word_vectors: str | None,
) -> Data:
    """
    A dataset with its draws (label noise, cue, order) made with `seed`. The one loaded last is kept.

    Args:
        dataset (`str`): `"colored_mnist"` or `"punctuated_sst2"`.
        config (`str`): of the dataset.
        changes (`Mapping`): fields of the config to change.
        seed (`int`): of all draws.
        environments (`Sequence[str]`): of the test rows.
        source (`str`): where the dataset is built from: auto, hub, bundled, or a folder.
        word_vectors (`str`, *optional*): a file in GloVe's format, for sentences.
    """
    return _load(dataset, config, tuple(sorted(changes.items())), seed, tuple(environments), source, word_vectors)


@lru_cache(maxsize=1)
def _load(
    dataset: str,
    config: str,
    changes: tuple[tuple[str, Any], ...],
    seed: int,
    environments: tuple[str, ...],
    source: str,
    word_vectors: str | None,
) -> Data:
    builder = DATASETS[dataset](config, source=source, seed=seed, **dict(changes))
    builder.download_and_prepare()
    assert builder.data_source is not None
    title = builder.data_source.title
    if isinstance(builder, ColoredMNIST):
        train, validation = builder.as_tensors("train"), builder.as_tensors("validation")
        return Data(train, validation, builder.as_tensors("test", environments=environments), title)
    splits = builder.as_dataset()
    encode = _MeanOfWordVectors(splits["train"]["sentence"], word_vectors)
    rows = {name: encode.rows(split) for name, split in splits.items()}
    test = rows["test"]
    wanted = [k for k, environment in enumerate(test["environment"]) if environment in environments]
    return Data(rows["train"], rows["validation"], test.select(wanted), title)


def make_model(data: Data, hidden_size: int) -> PreTrainedModel:
    """The paper's perceptron for this data, with weights drawn from torch's generator."""
    if "pixel_values" in data.train.column_names:
        _, channels, size, _ = data.train["pixel_values"].shape
        return ColoredMNISTClassifier(
            ColoredMNISTConfig(channels=channels, image_size=size, hidden_size=hidden_size, num_labels=data.num_labels)
        )
    size = data.train["inputs_embeds"].shape[-1]
    # The word vectors are frozen and their means are in the data: no vocabulary is needed here.
    return BagOfEmbeddingsClassifier(
        BagOfEmbeddingsConfig(vocab_size=1, embedding_size=size, hidden_size=hidden_size, num_labels=data.num_labels)
    )


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
        with open(file, encoding="utf-8") as lines:
            next(lines)
            size = len(next(lines).split()) - 1
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
