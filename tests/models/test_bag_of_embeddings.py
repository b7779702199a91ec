"""The bag of embeddings, its words and its vectors; both small models through the Auto classes."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from transformers import AutoConfig, AutoModelForImageClassification, AutoModelForSequenceClassification, AutoTokenizer

from hf_metairm import RExConfig, RExTrainer
from hf_metairm.models import (
    BagOfEmbeddingsClassifier,
    BagOfEmbeddingsConfig,
    ColoredMNISTClassifier,
    ColoredMNISTConfig,
    word_tokenizer,
)


SENTENCES = ["A good film !", "A bad, bad film .", "Good ."]


def small(**options):
    torch.manual_seed(0)
    defaults = {"vocab_size": 12, "embedding_size": 4, "hidden_size": 5, "num_labels": 3}
    return BagOfEmbeddingsClassifier(BagOfEmbeddingsConfig(**{**defaults, **options}))


def test_logits_are_three_layers_on_the_mean_of_the_words_that_are_there():
    model = small()
    ids = torch.tensor([[3, 5, 5, 0], [7, 0, 0, 0]])
    output = model(input_ids=ids, labels=torch.tensor([2, 0]))
    first, second, last = (m for m in model.layers if isinstance(m, torch.nn.Linear))
    w = model.embeddings.weight
    mean = torch.stack([(w[3] + 2 * w[5]) / 3, w[7]])
    expected = last(second(first(mean).relu()).relu())
    assert torch.allclose(output.logits, expected, atol=1e-6)
    assert torch.allclose(output.loss, -expected.log_softmax(-1)[[0, 1], [2, 0]].mean())
    mask = torch.tensor([[1, 0, 0, 0], [1, 0, 0, 0]])
    assert torch.allclose(model(ids, mask).logits[0], last(second(first(w[3]).relu()).relu()), atol=1e-6)
    assert model(torch.zeros(1, 3, dtype=torch.long)).logits.isfinite().all(), "a sentence without words"


@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_or_not_and_the_same_after_saving(freeze, tmp_path):
    model = small(freeze_embeddings=freeze)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded) is BagOfEmbeddingsClassifier
    assert isinstance(AutoConfig.from_pretrained(tmp_path), BagOfEmbeddingsConfig)
    for each in (model, loaded):
        assert each.embeddings.weight.requires_grad == (not freeze)
        assert all(p.requires_grad for p in each.layers.parameters())
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values()))


def test_colored_mnist_classifier_through_the_auto_classes(tmp_path):
    model = ColoredMNISTClassifier(ColoredMNISTConfig(hidden_size=8))
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    images = torch.rand(2, 2, 14, 14)
    assert type(loaded) is ColoredMNISTClassifier
    assert torch.equal(loaded(images).logits, model(images).logits)
    assert type(AutoModelForImageClassification.from_config(model.config)) is ColoredMNISTClassifier


def test_words(tmp_path):
    tokenizer = word_tokenizer(SENTENCES)
    words = [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(["A GOOD, new film."])["input_ids"]]
    assert words == [["a", "good", ",", "<unk>", "film", "."]]
    batch = tokenizer(SENTENCES, padding=True)
    assert batch["input_ids"][2][2:] == [0] * 4
    assert batch["attention_mask"][2] == [1, 1, 0, 0, 0, 0]
    assert tokenizer.get_vocab() == word_tokenizer(SENTENCES[::-1]).get_vocab()
    assert set(word_tokenizer(SENTENCES, min_count=2).get_vocab()) == {
        "<pad>", "<unk>", "a", "bad", "film", "good", "."
    }  # fmt: skip
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)(SENTENCES)["input_ids"] == tokenizer(SENTENCES)["input_ids"]


@pytest.mark.parametrize("heading", ["", "3 4\n"])
def test_word_vectors(heading, tmp_path):
    file = tmp_path / "vectors.txt"
    file.write_text(heading + "good 1 2 3 4\n. . . 9 9 9 9\nelsewhere 5 5 5 5\nbad -1 0.5 2e-1 0\n")
    tokenizer = word_tokenizer(SENTENCES)
    vocabulary = tokenizer.get_vocab()
    model = small(vocab_size=len(tokenizer))
    assert model.load_word_vectors(file, vocabulary) == 2
    weight = model.embeddings.weight
    assert weight[vocabulary["good"]].tolist() == [1, 2, 3, 4]
    assert torch.allclose(weight[vocabulary["bad"]], torch.tensor([-1, 0.5, 0.2, 0]))
    others = [k for w, k in vocabulary.items() if w not in ("good", "bad")]
    assert not weight[others].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good 1 2 3\n", "Line 1 .* is no word with 4 numbers"),
        ("bad 1 2 3 4\ngood 1 2 x 4\n", "Line 2"),
        ("elsewhere 1 2 3 4\n", "none of the"),
        ("", "none of the"),
    ],
)
def test_files_that_are_no_word_vectors(text, message, tmp_path):
    file = tmp_path / "vectors.txt"
    file.write_text(text)
    model = small()
    before = model.embeddings.weight.clone()
    with pytest.raises(ValueError, match=message) as caught:
        model.load_word_vectors(file, {"good": 2, "bad": 3})
    assert "\n" not in str(caught.value)
    assert torch.equal(before, model.embeddings.weight), "a refused file changes nothing"


def test_a_vocabulary_larger_than_the_model(tmp_path):
    with pytest.raises(ValueError, match="vocab_size=13"):
        small().load_word_vectors(tmp_path / "unused", {"good": 12})


def test_trains_on_sentences_and_leaves_frozen_vectors_alone(tmp_path):
    """The cue that both environments share is learned; nothing of the vectors moves."""
    sentences = [f"{word} {'film' if k % 2 else 'movie'}" for k in range(16) for word in ("good", "bad")]
    tokenizer = word_tokenizer(sentences)
    data = Dataset.from_dict(
        {
            "sentence": sentences,
            "label": [int(s.startswith("good")) for s in sentences],
            "environment": ["ab"[k // 2 % 2] for k in range(32)],
        }
    ).map(lambda rows: tokenizer(rows["sentence"]), batched=True)
    model = small(vocab_size=len(tokenizer), num_labels=2)
    vectors = model.embeddings.weight.clone()
    args = RExConfig(
        str(tmp_path), per_device_train_batch_size=8, max_steps=60, learning_rate=2e-2, penalty_weight=5.0,
        report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no", logging_strategy="no",
        l2_regularization=1e-4,
    )  # fmt: skip
    trainer = RExTrainer(model, args, train_dataset=data, eval_dataset=data, processing_class=tokenizer)
    trainer.train()
    assert trainer.evaluate()["eval_worst_environment_accuracy"] == 1.0
    assert torch.equal(vectors, model.embeddings.weight)
