from __future__ import annotations

import pytest
import torch
from torch.nn.functional import layer_norm
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2ForSequenceClassification,
)

from hf_metairm.models import (
    ColoredMNISTClassifier,
    ColoredMNISTConfig,
    encode_sentences,
    encoder_skipped,
    is_mean_pooled,
)
from hf_metairm.models.text_classifier import choose_trainable, load_classifier

from .tiny import save_tiny_encoder


SENTENCES = ["short .", "a rather longer sentence that makes the other one be padded !"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_added_layer_puts_the_mean_of_the_tokens_where_the_head_looks(folder):
    tokens = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    encoder = AutoModel.from_pretrained(folder).eval()
    model = load_classifier(str(folder), ["no", "yes"]).eval()
    assert model.config.num_hidden_layers == encoder.config.num_hidden_layers + 1
    with torch.no_grad():
        states, mask = encoder(**tokens).last_hidden_state, tokens["attention_mask"].unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1)
        first = model.bert(**tokens).last_hidden_state[:, 0]
    assert torch.allclose(first, layer_norm(mean, (16,)), atol=0.05)


def test_an_encoder_that_is_not_mean_pooled_is_left_alone(tmp_path):
    plain = save_tiny_encoder(tmp_path, mean_pooled=False)
    assert not is_mean_pooled(str(plain))
    assert load_classifier(str(plain), ["no", "yes"]).config.num_hidden_layers == 2


def test_head_sees_the_same_whether_the_encoder_is_run_or_skipped(folder):
    model = load_classifier(str(folder), ["no", "yes"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    outputs = encode_sentences(model, tokenizer, [*SENTENCES, SENTENCES[0]])
    assert len(outputs) == 2
    with torch.no_grad():
        logits = model(**tokenizer(SENTENCES, padding=True, return_tensors="pt")).logits
        with encoder_skipped(model):
            short = model(inputs_embeds=torch.stack([outputs[s] for s in SENTENCES])).logits
        again = model(**tokenizer(SENTENCES, padding=True, return_tensors="pt")).logits
    assert torch.allclose(short, logits, atol=1e-5)
    assert torch.equal(again, logits)


def test_checkpoint_written_while_the_encoder_is_skipped_is_the_whole_model(folder, tmp_path):
    model = load_classifier(str(folder), ["no", "yes"]).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    with encoder_skipped(model):
        model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(loaded(**tokens).logits, model(**tokens).logits)


def test_a_head_that_looks_at_more_than_the_first_token_is_refused(folder):
    gpt = GPT2ForSequenceClassification(
        GPT2Config(vocab_size=30522, n_embd=8, n_layer=1, n_head=1, n_positions=64, pad_token_id=0)
    )
    with pytest.raises(ValueError, match="trainable=all"):
        encode_sentences(gpt, AutoTokenizer.from_pretrained(folder), SENTENCES)


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        ("head", {"bert.pooler", "classifier"}),
        ("top:1", {"bert.pooler", "classifier", "bert.encoder.layer.2"}),
        ("all", {"bert.pooler", "classifier", "bert.embeddings"} | {f"bert.encoder.layer.{k}" for k in range(3)}),
    ],
)
def test_how_much_is_trained(trainable, expected, folder):
    model = choose_trainable(load_classifier(str(folder), ["no", "yes"]), trainable)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    found = {n.split(".dense")[0].split(".weight")[0].split(".bias")[0] for n in trained}
    found = {".".join(n.split(".")[:4]) if "layer" in n else ".".join(n.split(".")[:2]) for n in found}
    assert found == expected


@pytest.mark.parametrize("trainable", ["some", "top:9", "top:x", "head:1"])
def test_unknown_share_to_train_is_refused(trainable, folder):
    with pytest.raises(ValueError, match="trainable="):
        choose_trainable(load_classifier(str(folder), ["no", "yes"]), trainable)


def test_colored_mnist_classifier_starts_as_in_the_experiments_and_survives_saving(tmp_path):
    torch.manual_seed(0)
    model = ColoredMNISTClassifier(ColoredMNISTConfig(channels=3, hidden_size=32, num_labels=3))
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert [tuple(m.weight.shape) for m in layers] == [(32, 588), (32, 32), (3, 32)]
    for layer in layers:
        bound = (6 / sum(layer.weight.shape)) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()
    images, labels = torch.rand(5, 3, 14, 14), torch.tensor([0, 1, 2, 0, 1])
    output = model(pixel_values=images, labels=labels)
    assert torch.allclose(output.loss, -output.logits.log_softmax(-1)[range(5), labels].mean())
    model.save_pretrained(tmp_path)
    assert torch.equal(ColoredMNISTClassifier.from_pretrained(tmp_path)(images).logits, output.logits)


def test_for_two_classes_the_perceptron_has_the_single_output_of_the_irm_experiments():
    model = ColoredMNISTClassifier(ColoredMNISTConfig(hidden_size=8))
    images, labels = torch.rand(6, 2, 14, 14), torch.tensor([0, 1, 1, 0, 1, 0])
    output = model(pixel_values=images, labels=labels)
    assert model.layers[-1].out_features == 1
    assert output.logits.shape == (6, 2)
    z = output.logits[:, 1]
    assert torch.allclose(output.loss, torch.nn.functional.binary_cross_entropy_with_logits(z, labels.float()))
