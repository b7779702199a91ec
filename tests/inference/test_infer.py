"""Environments of rows whose cue is known, of rows without one, and what cannot be divided."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import SequenceClassifierOutput

import hf_metairm
from hf_metairm.data import TensorRows
from hf_metairm.inference.reference import draw_folds

from ..models.tiny import save_tiny_encoder
from .made import reviews


def against(found):
    return np.array(found.dataset[found.column][:]) == "against"


@pytest.mark.parametrize("method", ["eiil", "jtt"])
@pytest.mark.parametrize("seed", range(2))
def test_the_split_is_whether_the_mark_contradicts_the_label(method, seed):
    rows, contradicts = reviews(seed, 1500)
    found = hf_metairm.infer_environments("regression", rows, method=method)
    assert (against(found) == contradicts).mean() > 0.97
    assert found.rows == {"against": int(against(found).sum()), "with": int((~against(found)).sum())}
    assert found.warnings == []
    assert found.dataset.column_names == ["text", "label", "environment"]
    assert found.dataset["text"][:] == rows["text"][:]


@pytest.mark.parametrize(("content", "seed", "sentence"), [(0.75, 0, "nothing to keep"), (0.5, 1, "errors are noise")])
def test_without_a_cue_a_warning_says_so_and_what_to_do(content, seed, sentence):
    found = hf_metairm.infer_environments("regression", reviews(seed, 1500, content, None)[0])
    (warning,) = found.warnings
    assert "no better than chance" in warning
    assert sentence in warning
    assert "take ERM, or a column that you have" in warning


def test_a_cue_without_content_leaves_nothing_to_keep():
    rows, contradicts = reviews(1, 1500, content=0.5)
    found = hf_metairm.infer_environments("regression", rows)
    assert (against(found) == contradicts).mean() > 0.97
    assert "nothing to keep" in found.warnings[0]


class FollowsFirst(torch.nn.Module):
    """Says what the first number says."""

    def __init__(self, factor=3.0):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, x, labels=None):
        return SequenceClassifierOutput(logits=torch.stack([torch.zeros(len(x)), self.factor * x[:, 0]], 1))


def numbers(n=1500):
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 2, (n,), generator=generator)
    sign = 2.0 * y - 1
    flip = lambda p: torch.where(torch.rand(n, generator=generator) < p, -1.0, 1.0)  # noqa: E731
    x = torch.stack([sign * flip(0.1), sign * flip(0.25), torch.randn(n, generator=generator)], 1)
    return TensorRows({"x": x, "labels": y}), (x[:, 0] * sign < 0).numpy()


@pytest.mark.parametrize("model", ["regression", FollowsFirst()], ids=["regression", "own"])
def test_numbers_and_a_model_of_ones_own(model):
    rows, contradicts = numbers()
    found = hf_metairm.infer_environments(model, rows, column="side")
    assert (against(found) == contradicts).mean() > 0.97
    assert found.warnings == []
    assert found.dataset.column_names == ["x", "labels", "side"]
    assert torch.equal(found.dataset["x"], rows["x"])


def test_equal_texts_are_in_one_fold():
    folds = draw_folds(["a", "b", "a", "c", "d", "b"] * 3, 0)
    assert len(set(folds[0::6]) | set(folds[2::6])) == len(set(folds[1::6]) | set(folds[5::6])) == 1
    assert set(draw_folds(list(range(50)), 1)) == set(range(5))


def refused():
    rows = reviews(0, 200)[0]
    tensors = numbers(200)[0]
    sure = TensorRows({"x": torch.stack([2.0 * tensors["labels"] - 1] * 2, 1), "labels": tensors["labels"]})
    model = FollowsFirst
    return {
        "no labels": ("regression", rows.remove_columns("label"), {}, "no column 'label'.*--label_column"),
        "one class": (
            "regression",
            rows.filter(lambda row: row["label"] == "bad"),
            {},
            "All rows have the label 'bad'",
        ),
        "few rows": ("regression", rows.select(range(49)), {}, "49 rows are too few"),
        "no rows": ("regression", rows.select([]), {}, "0 rows are too few"),
        "a column": ("regression", rows, {"column": "text"}, "a column 'text' already.*--environment_column"),
        "another method": ("regression", rows, {"method": "george"}, "Unknown method 'george': use one of eiil, jtt"),
        "no text": ("regression", rows.remove_columns("text"), {}, "--text_column"),
        "another text": ("regression", rows, {"text_column": "body"}, "no column 'body'"),
        "not finite": (model(float("inf")), tensors, {}, "NaN or infinity for 200 of 200 rows"),
        "an empty side": (model(), sure, {}, "All 200 rows are with the reference model"),
        "no tokenizer": (model(), rows, {}, "tokenizer or image processor as processing_class"),
    }


@pytest.mark.parametrize("case", list(refused()))
def test_one_sentence_for_what_cannot_be_divided(case):
    model, rows, fields, sentence = refused()[case]
    with pytest.raises(ValueError, match=sentence):
        hf_metairm.infer_environments(model, rows, **fields)


def test_an_encoder_stands_in_for_words(tmp_path):
    encoder = save_tiny_encoder(tmp_path / "model", mean_pooled=False)
    rows = reviews(0, 200)[0]
    said = []
    found = hf_metairm.infer_environments(str(encoder), rows.select([*range(200), 0, 1]), say=said.append)
    assert said == [f"Encoding {len(set(rows['text'][:])):,} texts."]
    assert sum(found.rows.values()) == 202
    assert against(found)[:2].tolist() == against(found)[200:].tolist(), "equal texts are judged by the same model"
