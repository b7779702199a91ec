"""Things that are looked up by name: each is registered once, where it is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar


T = TypeVar("T")


class Registry(dict[str, T]):
    """
    Names and what they stand for, in the order in which they were registered.

    Args:
        what (`str`): what one of them is, for messages, such as `"algorithm"`.
    """

    def __init__(self, what: str):
        super().__init__()
        self.what = what

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers a class or function under `name`; a name is taken once."""

        def decorate(value: T) -> T:
            if name in self:
                raise ValueError(f"The {self.what} {name!r} is there already: give yours another name.")
            self[name] = value
            return value

        return decorate

    def get_or_refuse(self, name: str) -> T:
        """What `name` stands for; a `ValueError` that lists the names otherwise."""
        if name not in self:
            raise ValueError(f"Unknown {self.what} {name!r}: use one of {', '.join(self)}.")
        return self[name]
