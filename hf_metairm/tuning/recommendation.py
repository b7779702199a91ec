"""Which algorithm to take, in words: it may be ERM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..experiments.run import Result
from ..selection import left_out_accuracy, mean_accuracy, worst_accuracy, worst_group_accuracy
from .difference import Difference


# A gain below so many standard errors is none.
ERRORS = 2.0


@dataclass(frozen=True)
class Recommendation:
    """
    What to take.

    Args:
        algorithm (`str`): its name.
        reasons (`list[str]`): sentences.
    """

    algorithm: str
    reasons: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return " ".join([f"Recommended: {self.algorithm}.", *self.reasons])


def recommend(chosen: Mapping[str, Result], difference: Difference, majority: float) -> Recommendation:
    """
    Compare what was chosen of each algorithm with ERM.

    Args:
        chosen (`Mapping[str, dict]`): by algorithm, ERM among them: `validation`, `groups`, perhaps `left_out`.
        difference ([`Difference`]): between the training environments.
        majority (`float`): the share of the most frequent class in the validation rows.
    """
    a, b = difference.environments
    nats = f"{difference.nats:.3f} ± {difference.error:.3f} nats"
    if not difference.is_significant:
        return Recommendation(
            "erm",
            [
                f"The training environments agree on how features and label go together: even for {a} and {b}, which "
                f"differ most, a head of their own is worth {nats} on held-out rows, which may be chance.",
                "So nothing in these data tells a shortcut from content. If there is a shortcut, it is as strong in "
                "every environment, and no algorithm here can help: that takes an environment in which it is weaker.",
            ],
        )
    reasons = [f"The training environments differ, {a} and {b} most: heads of their own are worth {nats} there."]
    erm, others = chosen["erm"], {name: r for name, r in chosen.items() if name != "erm"}
    alive = {name: r for name, r in others.items() if worst_accuracy(r) > majority}
    for name in others.keys() - alive.keys():
        reasons.append(f"{name} is no better than the most frequent class ({100 * majority:.0f} %).")
    if not alive:
        return Recommendation("erm", [*reasons, "No algorithm survives."])
    best = max(alive, key=lambda name: worst_group_accuracy(alive[name]))
    # The rows in which what differs misleads ERM.
    misled = min(erm["groups"], key=lambda group: erm["groups"][group]["accuracy"])
    before, after = erm["groups"][misled], alive[best]["groups"][misled]
    gain, error = after["accuracy"] - before["accuracy"], math.hypot(_error(before), _error(after))
    compared = (
        f"On the {before['rows']:.0f} held-out rows in which what differs speaks against the label, ERM is right in "
        f"{_percent(before['accuracy'])} and {best} in {_percent(after['accuracy'])} (± {100 * error:.1f} for the "
        "difference)."
    )
    price = mean_accuracy(erm) - mean_accuracy(alive[best])
    paid = (
        f"It costs {100 * price:.1f} points of accuracy in the training environments, which is what the shortcut is "
        "worth there."
        if price > 0
        else "It costs no accuracy in the training environments."
    )
    reasons += [compared, *_left_out(erm, alive[best], best)]
    if gain <= ERRORS * error:
        return Recommendation("erm", [*reasons, f"That is no more than chance: {best} gains nothing over ERM."])
    if worst_group_accuracy(alive[best]) < worst_group_accuracy(erm):
        return Recommendation("erm", [*reasons, f"On the other rows {best} is worse than ERM is on these."])
    return Recommendation(best, [*reasons, paid])


def _left_out(erm: Result, other: Result, name: str) -> list[str]:
    if "left_out" not in erm or "left_out" not in other:
        return []
    return [
        f"In training environments that were left out in turn, ERM has {_percent(left_out_accuracy(erm))} and {name} "
        f"{_percent(left_out_accuracy(other))}; a shortcut that points the same way in all counts for ERM there."
    ]


def _error(found: Mapping[str, float]) -> float:
    """The standard error of an accuracy; never 0, however few rows there are."""
    share, rows = found["accuracy"], found["rows"]
    return math.sqrt(max(share * (1 - share), 0.25 / rows) / rows)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
