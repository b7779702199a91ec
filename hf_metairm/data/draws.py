"""Random draws that are the same for a seed on every platform, numpy version and number of processes.

`numpy` promises that the raw output of a bit generator never changes; the methods of `Generator` may. So every draw
here is made from the raw 64-bit words of a Philox generator, whose key is a hash of the seed and of what the draw is
for. A draw depends on nothing that was drawn before it.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.random import Philox


def _words(seed: int, purpose: tuple[str, ...], n: int) -> np.ndarray:
    digest = hashlib.blake2b("\x1f".join((str(seed), *purpose)).encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
    return Philox(key=key).random_raw(n)


def uniform(seed: int, *purpose: str, n: int) -> np.ndarray:
    """Draw `n` numbers from [0, 1).

    Args:
        seed (`int`):
            The seed of the dataset.
        *purpose (`str`):
            What the numbers are for, such as `"train", "color"`. Other words, other numbers.
        n (`int`):
            How many.

    Returns:
        `np.ndarray`: float64 of shape (n,), multiples of 2⁻⁵³.
    """
    return (_words(seed, purpose, n) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def flips(seed: int, *purpose: str, n: int, probability: float | np.ndarray) -> np.ndarray:
    """Draw `n` independent events of a `probability` in [0, 1] (one for all, or of shape (n,)), as a bool array."""
    return uniform(seed, *purpose, n=n) < probability


def permutation(seed: int, *purpose: str, n: int) -> np.ndarray:
    """Draw a permutation of 0 … n − 1: the order of `n` random 64-bit words (ties, if any, by position)."""
    return np.argsort(_words(seed, purpose, n), kind="stable")
