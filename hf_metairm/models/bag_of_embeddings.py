"""The classifier of the PunctuatedSST-2 experiments: a perceptron on the mean of a sentence's word vectors."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


Model = TypeVar("Model", bound="BagOfEmbeddingsClassifier")


class BagOfEmbeddingsConfig(PreTrainedConfig):
    """
    Configuration of [`BagOfEmbeddingsClassifier`].

    Args:
        vocab_size (`int`, *optional*, defaults to 30522): words (or tokens) that have a vector.
        embedding_size (`int`, *optional*, defaults to 300): numbers in a word vector.
        hidden_size (`int`, *optional*, defaults to 300): units in each of the two hidden layers.
        freeze_embeddings (`bool`, *optional*, defaults to `True`): whether the word vectors stay as they are.
        pad_token_id (`int`, *optional*, defaults to 0): the id that is no word, where there is no attention mask.
    """

    model_type = "bag_of_embeddings"

    def __init__(
        self,
        vocab_size: int = 30522,
        embedding_size: int = 300,
        hidden_size: int = 300,
        freeze_embeddings: bool = True,
        pad_token_id: int = 0,
        **kwargs: Any,
    ):
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.freeze_embeddings = freeze_embeddings
        self.pad_token_id = pad_token_id
        super().__init__(**kwargs)


class BagOfEmbeddingsClassifier(PreTrainedModel):
    """
    Mean of the word vectors, then three linear layers with ReLU between them, as in the PunctuatedSST-2 experiments of
    Choe, Ham & Park 2020 (arXiv 2004.05007); there the word vectors are GloVe's, of 300 numbers, and frozen.

    Without [`load_word_vectors`] the vectors are drawn from N(0, 1).

    Example:

    ```python
    tokenizer = word_tokenizer(dataset["train"]["sentence"])
    model = BagOfEmbeddingsClassifier(BagOfEmbeddingsConfig(vocab_size=len(tokenizer)))
    model.load_word_vectors("glove.6B.300d.txt", tokenizer.get_vocab())
    ```
    """

    config_class = BagOfEmbeddingsConfig
    base_model_prefix = "layers"
    main_input_name = "input_ids"
    _no_split_modules: list[str] = []  # noqa: RUF012

    def __init__(self, config: BagOfEmbeddingsConfig):
        super().__init__(config)
        assert config.num_labels is not None
        # No padding_idx: padding is masked out of the mean.
        self.embeddings = nn.Embedding(config.vocab_size, config.embedding_size)
        self.layers = nn.Sequential(
            nn.Linear(config.embedding_size, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, config.num_labels),
        )
        self.post_init()
        self._freeze()

    def _freeze(self) -> None:
        self.embeddings.weight.requires_grad_(not self.config.freeze_embeddings)

    @classmethod
    def from_pretrained(cls: type[Model], *args: Any, **kwargs: Any) -> Model:
        """`PreTrainedModel.from_pretrained`, after which frozen word vectors are frozen."""
        # Loading makes new parameters of all the weights, and lets all of them be trained.
        loaded = super().from_pretrained(*args, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded)._freeze()
        return loaded

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own start, which the experiments have."""
        if isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound)
            nn.init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)

    def get_input_embeddings(self) -> nn.Embedding:
        """The word vectors."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the word vectors by another `nn.Embedding`."""
        self.embeddings = value  # type: ignore[assignment]  # transformers says that it may be any module.

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """
        Classify sentences.

        Args:
            input_ids (`Tensor`, *optional*): int64 ids of shape (n, length).
            attention_mask (`Tensor`, *optional*): of the same shape, 0 where there is no word; by default where the id
                is `pad_token_id`.
            inputs_embeds (`Tensor`, *optional*): in place of ids their vectors, float of shape (n, length,
                embedding_size). While the word vectors are frozen, their means, of length 1, give the same as the ids.
            labels (`Tensor`, *optional*): int64 class ids of shape (n,).

        Returns:
            `SequenceClassifierOutput`: `logits` of shape (n, num_labels) and, with labels, the mean cross-entropy in
            nats as `loss`. A sentence without words has the mean 0.

        Raises:
            ValueError: both ids and vectors are given, or neither.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give either input_ids or inputs_embeds.")
        vectors = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if attention_mask is None:
            attention_mask = (
                torch.ones(vectors.shape[:2], device=vectors.device)
                if input_ids is None
                else input_ids != self.config.pad_token_id
            )
        mask = attention_mask.unsqueeze(-1).to(vectors.dtype)
        logits = self.layers((vectors * mask).sum(1) / mask.sum(1).clamp(min=1))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    @torch.no_grad()
    def load_word_vectors(self, file: str | PathLike[str], vocabulary: Mapping[str, int]) -> int:
        """
        Take word vectors from a text file in GloVe's format: a word and `embedding_size` numbers a line, with single
        spaces between them. A word that the file lacks gets the vector 0.

        Args:
            file (`str` or `PathLike`): in UTF-8, such as `glove.6B.300d.txt`; a heading line as word2vec writes it
                (two numbers) is skipped.
            vocabulary (`Mapping[str, int]`): from words to ids, such as a tokenizer's `get_vocab()`.

        Returns:
            `int`: how many words of the vocabulary the file has.

        Raises:
            ValueError: a line with another number of numbers, an id beyond `vocab_size`, or no word found at all.
        """
        size, weight = self.config.embedding_size, self.embeddings.weight
        if max(vocabulary.values(), default=-1) >= len(weight):
            raise ValueError(
                f"The vocabulary goes up to id {max(vocabulary.values())}, the model has {len(weight)} word vectors: "
                f"make it with vocab_size={max(vocabulary.values()) + 1}."
            )
        found: dict[int, Tensor] = {}
        with open(file, encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                # From the right, since a few of GloVe's words have spaces in them.
                word, *numbers = line.rstrip("\r\n ").rsplit(" ", size)
                if number == 1 and len(line.split()) == 2 and size != 1:
                    continue
                place = vocabulary.get(word)
                if place is None and len(numbers) == size:
                    continue
                try:
                    vector = torch.tensor([float(n) for n in numbers], dtype=weight.dtype)
                except ValueError:
                    vector = torch.empty(0)
                if len(vector) != size:
                    raise ValueError(
                        f"Line {number} of {file} is no word with {size} numbers: name a file of {size}-d word "
                        "vectors, or set embedding_size to what the file has."
                    )
                assert place is not None  # Whatever else is no word of the vocabulary was left out above.
                found.setdefault(place, vector)
        if not found:
            raise ValueError(
                f"{file} has none of the {len(vocabulary)} words of the vocabulary: give word vectors and vocabulary "
                "of the same language and spelling (GloVe's 6B words are in lower case)."
            )
        weight.zero_()
        for place, vector in found.items():
            weight[place] = vector.to(weight.device)
        return len(found)
