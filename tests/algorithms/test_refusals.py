"""What the algorithms that look at features refuse, each in one sentence that says how to mend it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hf_metairm.gradients import Evaluation
from hf_metairm.trainer import ALGORITHMS

from ..trainer.toys import Classifier, arguments, numbers
from .made import Net, RowRisk, found_by, made, parts, rows


OF_FEATURES = ("coral", "fishr", "ib-irm", "irmv2")


def refused(call, *words):
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_a_module_that_is_not_there_is_refused_before_training_with_near_names(name, tmp_path):
    trainer_class, config = ALGORITHMS[name]
    args = arguments(tmp_path, config=config, feature_module="body.secnd")
    refused(
        lambda: trainer_class(Classifier(), args, train_dataset=numbers()),
        "Classifier has no module 'body.secnd'",
        "'body.second'",
    )
    refused(lambda: made(name, feature_module="pooler").check(Net(), 4), "'pooler'", "'first', 'act', 'last'")


@pytest.mark.parametrize("name", OF_FEATURES)
def test_a_model_without_a_linear_layer_is_refused(name):
    refused(lambda: made(name).check(nn.Sequential(nn.Conv1d(2, 3, 1)), 4), "no linear layer", "feature_module")


class OtherOutputs(Net):
    """Modules that give no matrix of floats."""

    def __init__(self, what):
        super().__init__()
        self.what, self.side, self.idle = what, nn.Identity(), nn.Identity()

    def forward(self, x):
        x = x[0] if isinstance(x, tuple) else x
        made = {"ids": x.argmax(1)[:, None], "words": x[:, :, None], "several": (x, x)}[self.what]
        self.side(made)
        return super().forward(x)


@pytest.mark.parametrize(
    ("what", "said"),
    [("ids", "torch.int64 tensor of shape (8, 1)"), ("words", "shape (8, 4, 1)"), ("several", "is tuple")],
)
@pytest.mark.parametrize("name", OF_FEATURES)
def test_an_output_that_is_no_matrix_of_floats_is_refused(name, what, said):
    algorithm = made(name, feature_module="side")
    refused(lambda: found_by(algorithm, OtherOutputs(what), rows()), "the output of 'side'", said, "(rows, d)")


@pytest.mark.parametrize("name", OF_FEATURES)
def test_a_module_that_is_not_called_is_refused(name):
    algorithm = made(name, feature_module="idle")
    refused(lambda: found_by(algorithm, OtherOutputs("ids"), rows()), "did not call 'idle'")


@pytest.mark.parametrize("name", OF_FEATURES)
def test_features_that_are_not_finite_are_refused_by_the_name_of_their_environment(name):
    batches = rows()
    net = Net()

    class Overflowing(nn.Module):
        def forward(self, x):
            return torch.where(x.abs() > 1e6, torch.full_like(x, float("nan")), x)

    net.side = Overflowing()
    net.forward = lambda x: (net.side(x), Net.forward(net, x.clamp(-9, 9)))[1]
    batches["b"][0][3, 1] = 1e9
    algorithm = made(name, feature_module="side")
    refused(lambda: found_by(algorithm, net, batches), "environment 'b' are not finite", algorithm.title)


@pytest.mark.parametrize("name", ["fishr", "irmv2"])
def test_a_last_linear_layer_that_does_not_give_the_logits_is_refused(name):
    class Doubled(Net):
        def forward(self, x):
            logits = super().forward(x)
            self.other(x)
            return logits

    net = Doubled()
    net.other = nn.Linear(4, 7).double()
    refused(lambda: found_by(made(name), net, rows()), "7 outputs", "have 8 and 3", "feature_module")
    found_by(made(name, feature_module="act"), net, rows())


@pytest.mark.parametrize("name", ["ib-irm", "irmv2"])
def test_an_odd_number_of_rows_cannot_be_halved(name):
    refused(lambda: made(name, unbiased_penalty=True).check(Net(), 5), "5 rows", "unbiased_penalty=True")


@pytest.mark.parametrize("name", ["dfr", "fishr", "ib-irm", "irmv2"])
def test_another_loss_than_the_cross_entropy_is_refused(name):
    class Doubled(RowRisk):
        def evaluate(self, model, inputs):
            logits = model(inputs[0])
            return Evaluation(2 * cross_entropy(logits, inputs[1]), logits, inputs[1])

    algorithm = made(name)
    step = type("Step", (), {"number": 0, "seed": 0, "loss_scale": 1.0, "compute_dtype": None})()
    refused(lambda: algorithm.gradient(Net(), Doubled(), parts(rows()), step), "cross-entropy", algorithm.title)
    refused(lambda: algorithm.gradient(Net(), lambda model, inputs: 0, parts(rows()), step), "looks at logits")


@pytest.mark.parametrize("name", ["coral", "fish", "fishr", "iga"])
def test_a_batch_of_one_environment_is_refused(name, tmp_path):
    config = ALGORITHMS[name][1]
    refused(lambda: arguments(tmp_path, config=config, environments_per_batch=1), "environments_per_batch=1")


@pytest.mark.parametrize("name", ["coral", "dfr", "fish", "fishr", "ib-irm", "iga", "irmv2"])
def test_data_of_one_environment_is_refused(name, tmp_path):
    trainer_class, config = ALGORITHMS[name]
    args = arguments(tmp_path, config=config)
    refused(lambda: trainer_class(Classifier(), args, train_dataset=numbers(1)), "a single environment (a)")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("irmv2", {"gramian_ridge": 0.0}),
        ("fishr", {"fishr_ema": 1.0}),
        ("ib-irm", {"bottleneck_weight": -1.0}),
        ("iga", {"hessian_product": "first_order"}),
        ("fish", {"inner_learning_rate": 0.0}),
        ("coral", {"penalty_weight": -1.0}),
    ],
)
def test_values_that_a_setting_cannot_take_are_refused(name, settings):
    refused(lambda: made(name, **settings), next(iter(settings)), "is refused: use")


def test_a_model_without_a_second_derivative_is_refused_in_the_words_of_iga():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return 2 * gradient

    net = Net()
    net.forward = lambda x: Once.apply(Net.forward(net, x))
    refused(lambda: found_by(made("iga"), net, rows()), "hessian_product='forward_difference'")
    found_by(made("iga", hessian_product="forward_difference"), net, rows())
    compiled = torch.compile(Net(), backend="eager")
    refused(lambda: made("iga").check(compiled, 4), "torch.compile", "hessian_product='exact'")
