"""A run: settings on one side, a result on the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..secrets import public


# What is known of a finished run, as JSON has it: `name`, `seed`, `settings`, and what was measured. Above all
# `test`, and where it was measured `validation`: by environment `accuracy`, `rows` and further metrics.
Result = dict[str, Any]
# What a run's settings say of the contents of files, and in words.
DIGESTS = {"rows_digest": "the rows", "model_digest": "the pretrained model"}


@dataclass(frozen=True, eq=False)
class Run:
    """
    One training, to be carried out or carried out already. Runs with the same settings are equal, whatever their name.

    Args:
        name (`str`): the row of the table that it belongs to, such as `"meta-irm"`.
        settings (`Mapping`): all that the result depends on, the `seed` among them. Secrets are left out.
        file (`str`, *optional*, defaults to `"runs"`): the store's file that its result goes into, without suffix.
    """

    name: str
    settings: Mapping[str, Any]
    file: str = "runs"

    def __post_init__(self) -> None:
        plain = json.loads(json.dumps(public(self.settings), default=str))
        object.__setattr__(self, "settings", plain)

    @property
    def seed(self) -> int:
        """Of the data's draws, the initial weights and the order of the rows."""
        seed: int = self.settings["seed"]
        return seed

    @cached_property
    def key(self) -> str:
        """The same for the same settings, and for no others."""
        return key_of(self.settings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{'' if self.file == 'runs' else f'{self.file}, '}{self.name}, seed {self.seed}"


def key_of(settings: Mapping[str, Any]) -> str:
    """The digest of some settings: twelve hexadecimal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
