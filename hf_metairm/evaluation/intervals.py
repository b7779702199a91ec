"""Confidence intervals of shares of rows, in closed form: of one, of the mean of several, of the worst of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


Interval = tuple[float, float]
CONFIDENCE = 0.95


def wilson(share: float, rows: int, confidence: float = CONFIDENCE) -> Interval:
    """
    The interval of Wilson (1927): the shares p of which the one that was seen is at most z standard errors,
    √(p(1 − p)/n), away.

    Args:
        share (`float`): of `rows` that are right, between 0 and 1.
        rows (`int`): n.
        confidence (`float`, *optional*, defaults to 0.95): how often it holds the true share.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    shrink = 1 + z**2 / rows
    center = (share + z**2 / (2 * rows)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return max(center - half, 0.0), min(center + half, 1.0)


def of_mean(shares: Sequence[float], rows: Sequence[int], confidence: float = CONFIDENCE) -> Interval:
    """
    The interval of the mean of independent shares, by the distances of their own limits from them (Zou & Donner 2008):
    those are added as variances are.
    """
    limits = [wilson(share, n, confidence) for share, n in zip(shares, rows)]
    below = math.hypot(*(share - low for share, (low, _) in zip(shares, limits)))
    above = math.hypot(*(high - share for share, (_, high) in zip(shares, limits)))
    mean = sum(shares) / len(shares)
    return mean - below / len(shares), mean + above / len(shares)


def of_worst(shares: Sequence[float], rows: Sequence[int], confidence: float = CONFIDENCE) -> Interval:
    """
    An interval of the smallest of several independent shares, whichever it is: from the lowest of their lower limits
    to the lowest of upper limits that all hold together (Šidák 1967).
    """
    tail = 1 - (1 - (1 - confidence) / 2) ** (1 / len(shares))
    low = min(wilson(share, n, confidence)[0] for share, n in zip(shares, rows))
    return low, min(wilson(share, n, 1 - 2 * tail)[1] for share, n in zip(shares, rows))
