import numpy as np

from hf_metairm.data.draws import flips, permutation, uniform


FIRST = [0.5372992586202188, 0.9891163518427292, 0.021929576134064876]
ORDER = [3, 0, 4, 2, 5, 7, 6, 1]


def test_draws_are_the_same_words_everywhere():
    # Written down once: another platform, numpy or number of processes must not change them.
    assert uniform(0, "train", "label", n=3).tolist() == FIRST
    assert permutation(0, "train", "order", n=8).tolist() == ORDER


def test_a_draw_depends_on_seed_and_purpose_alone():
    first = uniform(0, "train", "color", n=1000)
    uniform(0, "train", "label", n=17)
    assert (uniform(0, "train", "color", n=1000) == first).all()
    assert (uniform(0, "train", "color", n=10) == first[:10]).all()
    for other in (uniform(1, "train", "color", n=1000), uniform(0, "test", "color", n=1000)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.15


def test_flips_have_their_probability_and_certainties_are_certain():
    assert not flips(0, "a", n=1000, probability=0.0).any()
    assert flips(0, "a", n=1000, probability=1.0).all()
    assert abs(flips(0, "a", n=100_000, probability=0.25).mean() - 0.25) < 0.006


def test_permutation_has_every_row_once():
    assert sorted(permutation(3, "order", n=1000).tolist()) == list(range(1000))
