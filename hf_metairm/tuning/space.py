"""Where a search looks: the ranges that each algorithm has, and those of every head."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..algorithms import ALGORITHMS
from ..algorithms.settings import Range
from ..experiments.heads import DEFAULTS, STEPS


# Few rows are soon learned by heart, and a head that did so has equal risks for no good reason: fewer steps, more L2.
COMMON = {
    "learning_rate": Range(5e-4, 5e-3),
    "l2_regularization": Range(1e-5, 1e-2),
    "max_steps": Range(100, STEPS, log=False, whole=True),
}


def search_space(algorithm: str) -> dict[str, Range]:
    """The ranges of an algorithm's fields, by name."""
    return {**COMMON, **ALGORITHMS[algorithm].Settings.search_space}


def default_settings(algorithm: str) -> dict[str, Any]:
    """Those of trial 0: what `hf-metairm train --stages two` takes where nothing is said, but for a little L2."""
    plain = {"learning_rate": DEFAULTS["learning_rate"], "l2_regularization": 1e-4, "max_steps": STEPS}
    own = ALGORITHMS[algorithm].Settings
    given = {name: own.on_features.get(name, getattr(own(), name)) for name in own.search_space}
    return {**plain, **given}


def draw_settings(algorithm: str, trials: int, seed: int) -> list[dict[str, Any]]:
    """
    The settings of every trial: the defaults, then points that fill the space evenly (a scrambled Sobol' sequence).

    They depend on the algorithm, the seed and the trial's number alone, not on what other trials found: the rules
    judge a set of trials, not the last one, and a search that was killed goes on with the trials that it would have
    had.

    Args:
        algorithm (`str`): its name.
        trials (`int`): how many, the first of which has the defaults.
        seed (`int`): of the sequence.
    """
    if trials < 1:
        return []
    import optuna

    distributions = as_distributions(search_space(algorithm))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        first = optuna.samplers.RandomSampler(seed)
        sampler = optuna.samplers.QMCSampler(
            qmc_type="sobol", scramble=True, seed=seed, independent_sampler=first, warn_independent_sampling=False
        )
    with quiet_optuna():
        study = optuna.create_study(sampler=sampler)
        drawn = []
        for _ in range(trials - 1):
            trial = study.ask(distributions)
            drawn.append(dict(trial.params))
            if "penalty_anneal_steps" in trial.params:  # The range is that of the longest training.
                of_all = trial.params["penalty_anneal_steps"] / STEPS
                drawn[-1]["penalty_anneal_steps"] = round(of_all * trial.params["max_steps"])
            study.tell(trial, 0.0)
    return [default_settings(algorithm), *drawn]


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """While open, Optuna logs warnings and errors alone."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def as_distributions(space: Mapping[str, Range]) -> dict[str, Any]:
    """The same for Optuna."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(int(r.low), int(r.high), log=r.log)
        if r.whole
        else FloatDistribution(r.low, r.high, log=r.log)
        for name, r in space.items()
    }
