"""Which texts a model was trained on, without the texts: digests of them, as many as a small file holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from ..files import replacing


# In a checkpoint's folder. Files with such a name are not published: with it whoever has a text could find out whether
# it was trained on.
SEEN = "_trained_on.safetensors"
MOST_DIGESTS = 65_536  # half a megabyte


@dataclass(frozen=True)
class SeenTexts:
    """
    The lowest digests of some texts. Digests are as good as random, so the texts of those are a fair sample, and of
    any other text whose digest is as low it is known whether it is among them.

    Args:
        digests (`np.ndarray`): uint64 of shape (n,), sorted, all different.
        highest (`int`): up to which digest they are complete.
    """

    digests: np.ndarray
    highest: int

    @classmethod
    def of(cls, texts: Iterable[str], most: int = MOST_DIGESTS) -> SeenTexts:
        """Those of some texts, `most` of them at most."""
        digests = np.unique(_digests(texts))
        if len(digests) <= most:
            return cls(digests, 2**64 - 1)
        return cls(digests[:most], int(digests[most - 1]))

    def among(self, texts: Iterable[str]) -> np.ndarray:
        """For each of the texts of which it is known, whether it is among these: bool, as many as are known."""
        digests = _digests(texts)
        return np.isin(digests[digests <= np.uint64(self.highest)], self.digests)

    def save(self, file: Path) -> None:
        """Write them."""
        with replacing(file) as new:
            save_file({"digests": self.digests}, new, metadata={"highest": str(self.highest)})

    @classmethod
    def load(cls, file: Path) -> SeenTexts:
        """Read what [`save`] wrote."""
        with safe_open(file, "np") as kept:
            return cls(kept.get_tensor("digests"), int(kept.metadata()["highest"]))


def _digests(texts: Iterable[str]) -> np.ndarray:
    found = b"".join(hashlib.blake2b(text.strip().encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(found, dtype="<u8").astype(np.uint64)
