"""What IRMv1, REx and group DRO log, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_metairm import (
    EnvironmentConfig,
    EnvironmentTrainer,
    GroupDROConfig,
    GroupDROTrainer,
    IRMConfig,
    IRMTrainer,
    MMRExConfig,
    RExConfig,
    RExTrainer,
)
from hf_metairm.algorithms import Step

from ..gradients.reference import relative_error
from .test_baselines import make, parameters, recording
from .test_meta_irm import KeepGradient
from .toys import Classifier, arguments, model_and_data, numbers


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("irmv1", {"irm_penalty"}),
        ("v-rex", {"rex_penalty"}),
        ("mm-rex", {"rex_penalty"}),
        ("group-dro", {"weight_a", "weight_b"}),
    ],
)
def test_logs(case, names, tmp_path):
    options = {} if case == "group-dro" else {"penalty_anneal_steps": 1}
    trainer = make(case, tmp_path, max_steps=2, logging_strategy="steps", logging_steps=1, **options)
    trainer.train()
    for log in trainer.state.log_history[:2]:
        assert {"loss", "risk_a", "risk_b", *names} <= set(log)
    first, second = trainer.state.log_history[:2]
    weight = 30.0
    total = second["risk_a"] + second["risk_b"]
    if case == "irmv1":
        assert second["loss"] == pytest.approx((total / 2 + weight * second["irm_penalty"]) / weight)
        assert first["loss"] == pytest.approx((first["risk_a"] + first["risk_b"]) / 2 + first["irm_penalty"])
    elif case == "group-dro":
        assert second["weight_a"] + second["weight_b"] == pytest.approx(1)
        assert (second["weight_a"] > 0.5) == (first["risk_a"] + second["risk_a"] > first["risk_b"] + second["risk_b"])
    else:
        assert second["loss"] == pytest.approx((total + weight * second["rex_penalty"]) / weight)


def test_group_dro_draws_are_right_on_average(tmp_path):
    """Two of three environments: the mean over the three draws of the scaled sum is the sum over all."""
    trainer = make("group-dro", tmp_path, dataset=numbers(3), group_dro_step_size=1e-12)
    risks = torch.tensor([0.2, 0.9, 1.3])
    names = trainer.algorithm.environments
    drawn = [
        trainer.algorithm.objective(risks[pair], risks[:, None][:, 1:], [names[k] for k in pair], None, Step(0), {})
        for pair in ([0, 1], [0, 2], [1, 2])
    ]
    assert torch.stack(drawn).mean() == pytest.approx(float(risks.mean()))


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (IRMConfig, "penalty_weight", -1.0),
        (IRMConfig, "penalty_anneal_steps", -1),
        (RExConfig, "penalty_weight", float("nan")),
        (RExConfig, "penalty_momentum", 1.0),
        (RExConfig, "penalty_momentum", -0.1),
        (RExConfig, "rex_penalty", "range"),
        (RExConfig, "environments_per_batch", 1),
        (MMRExConfig, "rex_penalty", "variance"),
        (GroupDROConfig, "group_dro_step_size", 0.0),
    ],
)
def test_unknown_values_of_fields(config, field, value, tmp_path):
    with pytest.raises(ValueError, match=f"{field}=.*use ") as caught:
        config(str(tmp_path), **{field: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("trainer", [IRMTrainer, RExTrainer, GroupDROTrainer])
def test_wrong_kind_of_arguments(trainer, tmp_path):
    with pytest.raises(ValueError, match=f"{trainer.__name__} takes a"):
        trainer(Classifier(), EnvironmentConfig(str(tmp_path)), train_dataset=numbers())


def test_rows_that_cannot_be_halved(tmp_path):
    with pytest.raises(ValueError, match=r"3 rows of each environment.*even number"):
        make("irmv1-halves", tmp_path, per_device_train_batch_size=6)


class TwiceTheLoss(Classifier):
    def forward(self, x, labels=None):
        outputs = super().forward(x, labels)
        return {**outputs, "loss": 2 * outputs["loss"]}


class NoLogits(Classifier):
    def forward(self, x, labels=None):
        return {"loss": super().forward(x, labels)["loss"]}


@pytest.mark.parametrize(
    ("model", "message"), [(TwiceTheLoss, "cross-entropy of its logits is"), (NoLogits, "gives no logits")]
)
def test_irm_refuses_a_loss_that_its_penalty_does_not_know(model, message, tmp_path):
    trainer = make("irmv1", tmp_path, model=model(dropout=0.0, tied=False))
    before = [p.clone() for p in parameters(trainer)]
    with pytest.raises(ValueError, match=message) as caught:
        trainer.train()
    assert "\n" not in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(before, parameters(trainer)))


def test_irm_knows_label_smoothing_and_sentences(tmp_path):
    """The smoothed loss passes the check, and the statistics are derivatives of that very loss."""
    model, dataset = model_and_data("bert")
    args = arguments(tmp_path, config=IRMConfig, label_smoothing_factor=0.1, max_steps=1)
    trainer = recording(IRMTrainer)(model, args, train_dataset=dataset)
    trainer.seen = []
    trainer.train()
    rows = trainer.seen[0]["a"][0]
    model.eval()
    with torch.no_grad():
        risk, gradient = trainer.algorithm.statistics(model, trainer.risk, rows)
        logits, eps = model(**rows).logits, 1e-5
        up, down = (
            nn.functional.cross_entropy(logits * s, rows["labels"], label_smoothing=0.1) for s in (1 + eps, 1 - eps)
        )
    assert torch.allclose(risk, (up + down) / 2, rtol=1e-8)
    assert torch.allclose(gradient, (up - down) / (2 * eps), rtol=1e-6)


class Half(Classifier):
    def __init__(self):
        super().__init__(dropout=0.0, tied=False)
        self.float()
        self.dtypes = set()

    def forward(self, x, labels=None):
        logits = self.body(x.float())
        self.dtypes.add(logits.dtype)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@pytest.mark.parametrize("case", ["irmv1", "irmv1-halves", "v-rex", "mm-rex", "group-dro"])
def test_bfloat16_autocast_stays_near_float32(case, tmp_path):
    results = []
    for bf16 in (False, True):
        model = Half()
        # With SGD, whose steps are as near as the gradients are.
        trainer = make(case, tmp_path, model=model, bf16=bf16, optim="sgd", learning_rate=0.1, max_steps=4)
        start = [p.clone() for p in model.parameters()]
        trainer.train()
        assert (torch.bfloat16 in model.dtypes) == bf16
        results.append([a.detach() - b for a, b in zip(model.parameters(), start)])
    assert 0 < relative_error(results[1], results[0]) < 0.1


def test_irm_statistics_of_a_model_in_half_precision_are_in_float32(tmp_path):
    trainer = make("irmv1", tmp_path, model=Half())
    rows = {"x": torch.randn(64, 6), "labels": torch.arange(64) % 3}
    half = trainer.model.bfloat16()
    half.body.forward = lambda x, forward=half.body.forward: forward(x.bfloat16())
    statistics = trainer.algorithm.statistics(half, trainer.risk, rows)
    assert half.dtypes == {torch.bfloat16}
    assert statistics.dtype == torch.float32


@pytest.mark.parametrize("case", ["irmv1", "v-rex", "group-dro"])
def test_fp16_scale_multiplies_the_whole_gradient(case, tmp_path, monkeypatch):
    gradients = []
    for scale in (1.0, 1024.0):
        monkeypatch.setattr(EnvironmentTrainer, "_loss_scale", scale)
        keep = KeepGradient()
        trainer = make(case, tmp_path, max_steps=1, l2_regularization=0.1)
        trainer.add_callback(keep)
        trainer.train()
        gradients.append(keep.gradient)
    assert relative_error(gradients[1], [1024 * g for g in gradients[0]]) < 1e-12
