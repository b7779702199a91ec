"""A study: trials of each algorithm, more seeds for the best of them, and what a rule chooses without the unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from ..experiments.engine import Outcome, carry_out
from ..experiments.run import Result, Run
from ..experiments.store import Store
from ..selection import TUNING_RULES, Measured, train_environments
from .space import draw_settings
from .trial import Trial, fields_of, trial_run


@dataclass(frozen=True)
class Plan:
    """
    What is to be searched.

    Args:
        algorithms (`Sequence[str]`): their names.
        environments (`Sequence[str]`): those that are trained on.
        features (`Callable[[int], str]`): the key of the features of a seed, which are made when they are first asked
            for.
        units (`int`): hidden units of the head.
        trials (`int`): of each algorithm.
        seeds (`Sequence[int]`): with which the finalists are trained; trials have the first.
        rule (`str`): by which is chosen, a name in [`TUNING_RULES`].
        margin (`float`): of the rules that have one.
        unseen (`str`): the environment that the rule `oracle` looks at.
        given (`Mapping[str, Mapping]`): by algorithm, fields of its Config that have one value in all trials.
        finalists (`int`, *optional*, defaults to 3): trials of each algorithm that are trained with every seed.
    """

    algorithms: Sequence[str]
    environments: Sequence[str]
    features: Callable[[int], str]
    units: int
    trials: int
    seeds: Sequence[int]
    rule: str
    margin: float
    unseen: str = ""
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    finalists: int = 3

    def trial_runs(self) -> list[Run]:
        """All trials, the algorithms in turn."""
        drawn = {name: draw_settings(name, self.trials, seed=0) for name in self.algorithms}
        return [
            self.run(name, {**drawn[name][k], **self.given.get(name, {})})
            for k in range(self.trials)
            for name in self.algorithms
        ]

    def run(self, algorithm: str, fields: Mapping[str, Any], seed: int | None = None, without: str = "") -> Run:
        """One of them, perhaps with another seed or without an environment."""
        seed = self.seeds[0] if seed is None else seed
        return trial_run(algorithm, fields, self.features(seed), self.units, seed, without)

    def choose(self, algorithm: str, results: Sequence[Measured]) -> Measured:
        """
        What the rule chooses of an algorithm's results; of ERM's, which nobody searches for invariance, the one with
        the best accuracy in the worst training environment. The rule gets no test result unless it is the oracle.
        """
        rule = train_environments if algorithm == "erm" and self.rule != "oracle" else TUNING_RULES[self.rule]
        if self.rule != "oracle":
            results = [{k: v for k, v in result.items() if k != "test"} for result in results]
        return rule(results, self.margin, self.unseen)


@dataclass
class Study:
    """
    What a plan came to.

    Args:
        trials (`dict[str, list[dict]]`): by algorithm, the results of the trials.
        finalists (`dict[str, list[dict]]`): by algorithm, those that were trained with every seed: means over seeds.
        chosen (`dict[str, dict]`): by algorithm, what the rule chooses of them; `left_out` is there where there are
            three training environments or more.
        failed (`dict[Run, str]`): runs that failed, with the reason.
    """

    trials: dict[str, list[Result]]
    finalists: dict[str, list[Result]] = field(default_factory=dict)
    chosen: dict[str, Result] = field(default_factory=dict)
    failed: dict[Run, str] = field(default_factory=dict)


def search(plan: Plan, work: Trial, store: Store, workers: int | None, say: Callable[[str], None] = print) -> Study:
    """
    Carry out a plan; what is in the store is kept.

    Raises:
        ValueError: every trial of an algorithm failed.
        KeyboardInterrupt: Ctrl-C; finished trials are kept.
    """
    failed: dict[Run, str] = {}

    def carried_out(runs: Sequence[Run], shows: str) -> Outcome:
        outcome = carry_out(runs, store, work, workers=workers, shows=shows, say=say)
        failed.update(outcome.failed)
        return outcome

    say(f"{plan.trials} trials of each of {', '.join(plan.algorithms)}:")
    outcome = carried_out(plan.trial_runs(), "validation")
    study = Study(_by_algorithm(outcome.results), failed=failed)
    for name in plan.algorithms:
        if not study.trials.get(name):
            reason = next(reason for run, reason in failed.items() if run.settings["algorithm"] == name)
            raise ValueError(f"Every trial of {name} failed, so there is nothing to choose from: {reason}")
    if plan.rule == "leave-one-out":
        everything = [result for results in study.trials.values() for result in results]
        _leave_out(plan, everything, lambda runs: carried_out(runs, "left_out"), say)

    say(f"The best {plan.finalists} of each by the rule {plan.rule}, with seeds {', '.join(map(str, plan.seeds))}:")
    best = {name: _best(plan, name, study.trials[name]) for name in plan.algorithms}
    again = [
        plan.run(name, fields_of(result["settings"]), seed)
        for seed in plan.seeds
        for name, results in best.items()
        for result in results
    ]
    by_run = {Run("", r["settings"]).key: r for r in carried_out(again, "validation").results}
    for name, results in best.items():
        study.finalists[name] = [
            _mean(
                [by_run[key] for s in plan.seeds if (key := plan.run(name, fields_of(r["settings"]), s).key) in by_run]
            )
            | ({"left_out": r["left_out"]} if "left_out" in r else {})
            for r in results
        ]
        chosen = plan.choose(name, study.finalists[name])
        study.chosen[name] = next(r for r in study.finalists[name] if r["settings"] == chosen["settings"])
    if len(plan.environments) > 2 and plan.rule != "leave-one-out":
        say("What is chosen, without each training environment in turn:")
        _leave_out(plan, list(study.chosen.values()), lambda runs: carried_out(runs, "left_out"), say)
    return study


def _by_algorithm(results: Sequence[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result["settings"]["algorithm"], []).append(result)
    return found


def _best(plan: Plan, algorithm: str, results: Sequence[Result]) -> list[Result]:
    """The rule's first choice, what it would choose without that, and so on."""
    left = list(results)
    best: list[Result] = []
    while left and len(best) < plan.finalists:
        chosen = plan.choose(algorithm, left)
        best.append(next(r for r in left if r["settings"] == chosen["settings"]))
        left = [r for r in left if r["settings"] != chosen["settings"]]
    return best


def _leave_out(
    plan: Plan, results: Sequence[Result], carried_out: Callable[[list[Run]], Outcome], say: Callable[[str], None]
) -> None:
    """Add `left_out` to results: accuracy in each training environment of a head that was trained without it."""
    runs = {
        (id(result), name): plan.run(result["settings"]["algorithm"], fields_of(result["settings"]), without=name)
        for result in results
        for name in plan.environments
    }
    done = {Run("", r["settings"]).key: r for r in carried_out(list(runs.values())).results}
    for result in results:
        keys = [runs[id(result), name].key for name in plan.environments]
        if all(key in done for key in keys):
            result["left_out"] = {k: v for key in keys for k, v in done[key]["left_out"].items()}


def _mean(results: Sequence[Result]) -> Result:
    """Results of several seeds as one, with the means of what was measured."""
    first = results[0]
    measured = {part: _mean_of([r[part] for r in results]) for part in ("validation", "groups", "test")}
    return {**first, **measured, "seeds": len(results)}


def _mean_of(found: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {metric: fmean(f[name][metric] for f in found) for metric in metrics}
        for name, metrics in found[0].items()
    }
