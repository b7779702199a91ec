"""The plain Accelerate loop of `trainer_examples`, started as its first lines say."""

from __future__ import annotations

import re

from .launch import launch


def test_plain_loop_trains_on_two_processes_what_it_trains_on_one():
    printed = {n: launch("trainer_examples.meta_gradient_loop", processes=n).splitlines() for n in (1, 2)}
    losses = {
        n: [[float(x) for x in re.findall(r"\d+\.\d+", line)] for line in lines if line.startswith("epoch")]
        for n, lines in printed.items()
    }
    assert len(losses[1]) == len(losses[2]) == 2, "one line an epoch, printed once"
    for one, two in zip(losses[1], losses[2]):
        assert max(abs(a - b) for a, b in zip(one, two)) < 1e-3
    assert losses[1][1][0] < losses[1][0][0]
