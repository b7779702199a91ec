"""EIIL's objective against float64 autograd, its maximum against every split there is, and the published optimizer."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from hf_metairm.inference import METHODS, eiil, jtt, slopes, violation


def drawn(n, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, classes, dtype=torch.float64, generator=generator)
    return logits, torch.randint(0, classes, (n,), generator=generator)


def by_autograd(logits, labels, q):
    """As the authors write it: a factor on the logits, both risks, and the squares of their derivatives."""
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    loss = cross_entropy(logits * scale, labels, reduction="none")
    squares = [torch.autograd.grad((loss * share).mean(), scale, create_graph=True)[0] ** 2 for share in (q, 1 - q)]
    return torch.stack(squares).mean()


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_objective_is_that_of_autograd(classes):
    logits, labels = drawn(40, classes)
    q = torch.rand(40, dtype=torch.float64, requires_grad=True)
    expected, found = by_autograd(logits, labels, q), violation(q, slopes(logits, labels))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, q, retain_graph=True)[0] for value in (found, expected)), rtol=1e-10, atol=1e-15
    )


@pytest.mark.parametrize("shape", [(30,), (30, 1)])
def test_one_logit_is_that_of_the_second_class(shape):
    z, labels = drawn(30, 2)[0][:, 0], drawn(30, 2)[1]
    scale = torch.ones(30, dtype=torch.float64, requires_grad=True)
    loss = binary_cross_entropy_with_logits(z * scale, labels.double(), reduction="sum")
    expected = torch.autograd.grad(loss, scale)[0]
    torch.testing.assert_close(slopes(z.view(shape), labels), expected, rtol=1e-12, atol=1e-14)
    both = torch.stack([torch.zeros_like(z), z], 1)
    torch.testing.assert_close(slopes(both, labels), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(slopes(both + 7.0, labels), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_no_split_violates_invariance_more(classes, seed):
    logits, labels = drawn(10, classes, seed)
    s = slopes(logits, labels)
    splits = torch.tensor(list(product([0.0, 1.0], repeat=10)), dtype=torch.float64)
    most = max(float(violation(split, s)) for split in splits)
    assert float(violation(eiil(logits, labels).double(), s)) == pytest.approx(most, rel=1e-12)


def test_the_published_optimizer_arrives_there():
    logits, labels = drawn(200, 3, seed=5)
    q = torch.randn(200, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    optimizer = torch.optim.Adam([q], lr=0.05)
    for _ in range(300):
        loss = -by_autograd(logits, labels, q.sigmoid())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    same = float(((q > 0) == eiil(logits, labels)).float().mean())
    assert max(same, 1 - same) > 0.98


def test_two_classes_are_split_by_the_errors_and_more_are_not():
    logits, labels = drawn(500, 2)
    assert torch.equal(eiil(logits, labels), jtt(logits, labels))
    logits, labels = drawn(500, 5)
    errors = jtt(logits, labels)
    assert torch.equal(errors, logits.argmax(1) != labels)
    assert not torch.equal(eiil(logits, labels), errors)
    assert not (eiil(logits, labels) & ~errors).any(), "a row that is told rightly is never against the model"


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize(
    ("logits", "labels", "sentence"),
    [
        (torch.tensor([[0.0, float("nan")], [1.0, 2.0]]), torch.tensor([0, 1]), "NaN or infinity for 1 of 2 rows"),
        (torch.zeros(3, 2), torch.tensor([0, 1]), "Logits of shape"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), "The labels are not all from 0 to 1"),
    ],
)
def test_refused(method, logits, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        METHODS[method](logits, labels)
