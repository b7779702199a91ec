"""Rows divided into parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hf_metairm.data.parts import divide_alike


SHARES = {"one": 0.4, "two": 0.4, "three": 0.2}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(0, 3))
def test_every_row_is_in_one_part_and_every_environment_alike(environments, seed):
    ids = np.array(environments)
    parts = divide_alike(ids, SHARES, seed)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(ids)))
    for environment in set(environments):
        rows = int((ids == environment).sum())
        for name, share in SHARES.items():
            found = int((ids[parts[name]] == environment).sum())
            assert abs(found - share * rows) <= 1


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcdef")), min_size=1, max_size=60))
def test_rows_of_one_text_stay_together(rows):
    ids, texts = np.array([e for e, _ in rows]), [text for _, text in rows]
    of_row = {k: name for name, part in divide_alike(ids, SHARES, 0, texts).items() for k in part.tolist()}
    together: dict = {}
    for k, (_, text) in enumerate(rows):  # Also where they are of two environments.
        assert together.setdefault(text, of_row[k]) == of_row[k]


def test_another_seed_divides_otherwise_and_the_same_one_alike():
    ids = np.zeros(50, dtype=int)
    first, again, other = (divide_alike(ids, SHARES, seed)["one"].tolist() for seed in (0, 0, 1))
    assert first == again != other
