from __future__ import annotations

import numpy as np
import pytest
from datasets import concatenate_datasets

from hf_metairm import EnvironmentConfig, EnvironmentTrainer
from hf_metairm.trainer.accuracy import EnvironmentAccuracy

from .toys import Classifier, arguments, numbers


def trainer(tmp_path, **options):
    args = arguments(tmp_path, config=EnvironmentConfig, per_device_eval_batch_size=7)
    return EnvironmentTrainer(Classifier(), args, train_dataset=numbers(), **options)


def unseen():
    three = numbers(3, rows=9, seed=4)
    return concatenate_datasets([three, numbers(1, rows=5, seed=8).map(lambda row: {"environment": "p=0.9"})])


def expected(trainer, dataset):
    logits = trainer.predict(dataset).predictions
    right = logits.argmax(-1) == np.asarray(dataset["label"])
    names = np.asarray(dataset["environment"])
    return {str(name): right[names == name].mean() for name in np.unique(names)}


def test_accuracy_of_each_environment_the_unseen_and_the_worst(tmp_path):
    data, model = unseen(), trainer(tmp_path)
    metrics, by_hand = model.evaluate(data), expected(model, data)
    assert set(by_hand) == {"a", "b", "c", "p=0.9"}
    for name, value in by_hand.items():
        assert metrics[f"eval_{name}_accuracy"] == pytest.approx(value)
    assert metrics["eval_worst_environment_accuracy"] == pytest.approx(min(by_hand.values()))
    assert metrics["eval_mean_environment_accuracy"] == pytest.approx(np.mean(list(by_hand.values())))


def test_compute_metrics_is_called_as_ever_and_for_each_environment(tmp_path):
    def share_of_class_zero(prediction):
        assert isinstance(prediction.label_ids, np.ndarray)
        return {"zeros": float((prediction.label_ids == 0).mean())}

    data = unseen()
    metrics = trainer(tmp_path, compute_metrics=share_of_class_zero).evaluate(data)
    labels, names = np.asarray(data["label"]), np.asarray(data["environment"])
    assert metrics["eval_zeros"] == pytest.approx((labels == 0).mean())
    assert metrics["eval_p=0.9_zeros"] == pytest.approx((labels[names == "p=0.9"] == 0).mean())
    assert "eval_worst_environment_accuracy" in metrics


def test_without_an_environment_column_evaluation_is_a_plain_one(tmp_path):
    data = unseen()
    model = trainer(tmp_path)
    model.evaluate(data)
    metrics = model.evaluate(data.remove_columns("environment"))
    assert "eval_accuracy" in metrics
    assert not any("environment" in key for key in metrics)


def test_several_datasets_and_prediction(tmp_path):
    data = unseen()
    model = trainer(tmp_path, eval_dataset={"first": data, "second": data.select(range(20))})
    metrics = model.evaluate()
    assert metrics["eval_first_p=0.9_accuracy"] == pytest.approx(expected(model, data)["p=0.9"])
    assert "eval_second_worst_environment_accuracy" in metrics
    output = model.predict(data)
    assert output.label_ids.tolist() == data["label"][:]
    assert output.metrics["test_p=0.9_accuracy"] == pytest.approx(expected(model, data)["p=0.9"])


def test_metric_by_itself():
    result = EnvironmentAccuracy().compute(
        predictions=[0, 1, 1, 1], references=[0, 1, 0, 0], environments=["x", "x", "y", "x"]
    )
    assert result == {
        "accuracy": 0.5,
        "x_accuracy": pytest.approx(2 / 3),
        "y_accuracy": 0.0,
        "worst_environment_accuracy": 0.0,
        "mean_environment_accuracy": pytest.approx(1 / 3),
    }
