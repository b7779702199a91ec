"""What a comparison comes to, in a sentence: whether any algorithm did better than ERM where it matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .run import Result
from .tables import percents, summarize, unseen_in_all, with_error


ERM = "erm"
MOST_SHOWN = 3


def verdict(results: Sequence[Result], search: str) -> str | None:
    """
    Say so where no algorithm does better than ERM by more than the error: in an environment that none was trained on,
    or, where there is no such environment, in any. Nothing is said where one does, or there is nothing to compare.

    Args:
        results (`Sequence[dict]`): of runs on the same data, each named by its algorithm.
        search (`str`): the command that looks for better settings.
    """
    summary = summarize(results)
    others = [name for name in summary if name != ERM]
    if ERM not in summary or not others:
        return None
    erm, unseen = summary[ERM], unseen_in_all(results)
    where = [e for e in erm if e in unseen] or list(erm)
    if any(_is_better(summary[name][e], erm[e]) for name in others for e in where if e in summary[name]):
        return None
    shown = [
        f"{e}: " + ", ".join(f"{name} {with_error(summary[name][e])}" for name in summary if e in summary[name])
        for e in where[:MOST_SHOWN]
    ]
    figures = "; ".join(shown) + ("; …" if len(where) > MOST_SHOWN else "")
    which = "any environment that training did not see" if unseen else "any environment"
    keep_out = "" if unseen else " Keep one out of training (--unseen_environments): a shortcut shows there alone."
    return (
        f"Nothing does better than {ERM} in {which} by more than the error ({figures}).{keep_out} Other settings may: "
        f"`{search}` chooses them without looking at unseen environments, and says so where ERM is the one to take."
    )


def _is_better(found: Mapping[str, float], erm: Mapping[str, float]) -> bool:
    (value, error), (plain, error_of_erm) = percents(found), percents(erm)
    return value - plain > math.hypot(error, error_of_erm)
