from __future__ import annotations

from collections import Counter

import datasets
import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler

from hf_metairm.environments import (
    EnvironmentCollator,
    EnvironmentSampler,
    read_environments,
)


def blocks(sampler):
    return list(BatchSampler(sampler, sampler.rows_per_block, drop_last=False))


@pytest.mark.parametrize(
    ("values", "feature", "names"),
    [
        (["b", "a", "b"], datasets.Value("string"), ("a", "b")),
        ([2011, 2009, 2011], datasets.Value("int64"), ("2009", "2011")),
        ([1, 0, 1], datasets.ClassLabel(names=["zurich", "bern"]), ("zurich", "bern")),
    ],
)
def test_column_may_be_strings_integers_or_class_label(values, feature, names):
    dataset = datasets.Dataset.from_dict({"environment": values}, features=datasets.Features({"environment": feature}))
    found = read_environments(dataset)
    assert found.names == names
    assert found.ids.tolist() == [1, 0, 1]
    assert read_environments(dataset.select([1, 2])).ids.tolist() == [0, 1], "indices of a selection are respected"


def test_rows_as_plain_dictionaries():
    assert read_environments([{"site": "x"}, {"site": "y"}], "site").names == ("x", "y")


def test_numbers_are_in_their_order_whether_they_are_words_or_not():
    for values in (["10", "9", "-1", "10"], [10, 9, -1, 10], [10, "9", -1, "10"]):
        found = read_environments([{"site": value} for value in values], "site")
        assert found.names == ("-1", "9", "10")
        assert found.ids.tolist() == [2, 1, 0, 2]
        assert [found.name_of[value] for value in values] == ["10", "9", "-1", "10"]
    assert read_environments([{"site": "10"}, {"site": "09"}, {"site": "9"}], "site").names == ("09", "10", "9")


def test_a_class_label_of_minus_one_names_no_environment():
    rows = datasets.Dataset.from_dict({"environment": [0, -1, -1]})
    rows = rows.cast_column("environment", datasets.ClassLabel(names=["a", "b"]))
    with pytest.raises(ValueError, match="2 of 3 rows have no value"):
        read_environments(rows)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"place": ["a"]}, "no column 'environment'"),
        ({"environment": ["a", None]}, "1 of 2 rows have no value"),
        ({"environment": [0.2, 0.1]}, "strings, integers or a ClassLabel"),
        ({"environment": [True, False]}, "strings, integers or a ClassLabel"),
    ],
)
def test_what_cannot_be_read_is_refused(column, message):
    with pytest.raises(ValueError, match=message):
        read_environments(datasets.Dataset.from_dict(column))
    with pytest.raises(ValueError, match="length"):
        read_environments(iter([]))


def test_every_block_is_balanced_and_the_largest_environment_shown_once():
    ids = np.repeat([0, 1, 2], [40, 11, 23])
    sampler = EnvironmentSampler(ids, rows_per_block=12, seed=1)
    seen = Counter()
    for block in blocks(sampler):
        assert Counter(ids[block].tolist()) == {0: 4, 1: 4, 2: 4}
        seen.update(block)
    assert len(blocks(sampler)) == 10
    assert {seen[row] for row in range(40)} == {1}
    smaller = [seen[row] for row in range(40, 51)]
    assert sum(smaller) == 40
    assert max(smaller) - min(smaller) <= 1, "the smaller environments are gone through evenly"


def test_last_step_is_filled_up_or_dropped():
    ids = np.repeat([0, 1], [10, 10])
    assert len(blocks(EnvironmentSampler(ids, 8))) == 3
    assert len(blocks(EnvironmentSampler(ids, 8, drop_last=True))) == 2
    assert len(EnvironmentSampler(ids, 8)) == len(list(EnvironmentSampler(ids, 8))) == 24


def test_order_comes_from_seed_and_epoch_alone():
    ids = np.repeat([0, 1], [30, 20])

    def order(seed, epoch):
        torch.manual_seed(np.random.randint(1000))
        sampler = EnvironmentSampler(ids, 10, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


@pytest.mark.parametrize("blocks_per_step", [1, 2])
def test_grouped_by_length_little_is_padded_and_every_row_still_has_its_turn(blocks_per_step):
    draws = np.random.default_rng(0)
    ids, lengths = np.repeat([0, 1], [2000, 777]), draws.geometric(0.1, 2777)

    def padded(sampler):
        return np.mean([lengths[block].max() / lengths[block].mean() for block in blocks(sampler)])

    options = {"rows_per_block": 16, "blocks_per_step": blocks_per_step}
    sampler = EnvironmentSampler(ids, lengths=lengths, **options)
    assert padded(sampler) < 1.3 < 2.3 < padded(EnvironmentSampler(ids, **options))
    seen = Counter(list(sampler))
    assert {seen[row] for row in range(2000)} == {1}
    smaller = [seen[row] for row in range(2000, 2777)]
    assert (sum(smaller), max(smaller) - min(smaller)) == (2000, 1)
    for block in blocks(sampler):
        assert Counter(ids[block].tolist()) == {0: 8, 1: 8}
    order = [lengths[block].mean() for block in blocks(sampler)[::blocks_per_step]]
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.3, "long steps come at any time"


@pytest.mark.parametrize("per_batch", [None, 2])
def test_a_step_shows_the_same_rows_however_it_is_cut_into_blocks(per_batch):
    ids = np.repeat([0, 1, 2], [37, 25, 31])
    whole = blocks(EnvironmentSampler(ids, 12, environments_per_batch=per_batch))
    cut = blocks(EnvironmentSampler(ids, 6, blocks_per_step=2, environments_per_batch=per_batch))
    joined = [first + second for first, second in zip(cut[::2], cut[1::2])]
    assert [sorted(block) for block in whole] == [sorted(block) for block in joined]
    lengths = np.random.default_rng(0).integers(1, 50, 93)
    whole = blocks(EnvironmentSampler(ids, 12, environments_per_batch=per_batch, lengths=lengths))
    cut = blocks(EnvironmentSampler(ids, 6, 2, environments_per_batch=per_batch, lengths=lengths))
    joined = [first + second for first, second in zip(cut[::2], cut[1::2])]
    assert [sorted(block) for block in whole] == [sorted(block) for block in joined]


def test_environments_per_batch_draws_them_anew():
    ids = np.repeat(np.arange(5), 20)
    drawn = [tuple(np.unique(ids[block])) for block in blocks(EnvironmentSampler(ids, 8, environments_per_batch=2))]
    assert {len(pair) for pair in drawn} == {2}
    assert len(set(drawn)) > 3
    assert len(drawn) == 13, "as many rows as five environments of 20 have"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows_per_block": 7}, "multiple of 2, such as 6"),
        ({"rows_per_block": 1}, "multiple of 2, such as 2"),
        ({"rows_per_block": 24}, "Environment 'small' has 5 rows, fewer than its share of 12"),
        ({"rows_per_block": 8, "blocks_per_step": 2}, "fewer than its share of 8"),
        ({"rows_per_block": 6, "environments_per_batch": 3}, "from 2 to 2, or None"),
    ],
)
def test_what_cannot_be_shared_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EnvironmentSampler(np.repeat([0, 1], [20, 5]), names=["large", "small"], **options)


def test_collator_is_called_for_each_environment_on_its_rows_alone():
    """Flattened pairs, lists and padding to the longest are of one environment's rows."""
    called = []

    def pairs(rows):
        called.append([row["x"] for row in rows])
        return {"x": torch.tensor([[v, -v] for v in called[-1]]).flatten(), "words": [str(v) for v in called[-1]]}

    collator = EnvironmentCollator(pairs, "site", {0: "a", 4: "b"})
    batch = collator([{"x": 1, "site": 4}, {"x": 2, "site": 0}, {"x": 3, "site": 4}])
    assert called == [[1, 3], [2]]
    assert batch["b"]["x"].tolist() == [1, -1, 3, -3]
    assert batch["a"] == {"x": batch["a"]["x"], "words": ["2"]}


def test_ready_batches_are_divided_without_a_collator():
    ready = EnvironmentCollator(None, "site", {"a": "a", "b": "b"}, columns=["x"])
    rows = torch.arange(8).reshape(4, 2)
    together = ready({"x": rows, "digit": torch.ones(4), "site": ["a", "a", "b", "b"]})
    assert set(together) == {"a", "b"}
    assert set(together["a"]) == {"x"}
    assert together["b"]["x"].data_ptr() == rows[2].data_ptr(), "rows that stand together are not copied"
    mixed = ready({"x": rows, "site": ["b", "a", "b", "a"]})
    assert mixed["a"]["x"].tolist() == [[2, 3], [6, 7]]
    assert mixed["b"]["x"].tolist() == [[0, 1], [4, 5]]


def test_a_collator_that_fails_names_the_environment():
    def fails(rows):
        raise KeyError("length")

    with pytest.raises(ValueError, match=r"2 rows of environment 'b' \(KeyError: 'length'\).*collator") as caught:
        EnvironmentCollator(fails, "site", {"b": "b"})([{"site": "b"}, {"site": "b"}])
    assert "\n" not in str(caught.value)
