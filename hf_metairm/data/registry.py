"""The one list of this package's datasets: `DATASETS`, from a name to the class that builds it.

A dataset is one file in `builders/`, named as the dataset is, with one class under `@DATASETS.register`. Commands,
cards, tables and messages take the names from here. A name costs no import; the class is imported when it is
asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar


class _Titled(Protocol):
    TITLE: ClassVar[str]


Titled = TypeVar("Titled", bound=_Titled)


class DatasetRegistry(Mapping[str, type[Any]]):
    """
    Builder classes by name, in alphabetical order.

    Args:
        package (`str`): the package whose modules each hold one dataset of the module's own name.

    Example:

    ```py
    >>> from hf_metairm.data import DATASETS
    >>> list(DATASETS)
    ['cad_imdb', 'civil_comments', 'colored_mnist', 'punctuated_sst2']
    >>> builder = DATASETS["colored_mnist"]("k10", source="bundled")
    ```
    """

    def __init__(self, package: str):
        self._package = package
        folder = Path(__file__).parent / package.rpartition(".")[2]
        self._files = {module.name for module in pkgutil.iter_modules([str(folder)])}
        self._classes: dict[str, type[Any]] = {}

    def register(self, cls: type[Titled]) -> type[Titled]:
        """
        Add a builder class under its `TITLE`; to be written as a decorator.

        Raises:
            ValueError: another class has that name.
        """
        name: str = cls.TITLE
        other = self._classes.get(name)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"There is a dataset {name!r} already ({other.__module__}.{other.__qualname__}).")
        self._classes[name] = cls
        return cls

    def choose(self, name: str) -> type[Any]:
        """
        The builder class of that name.

        Raises:
            ValueError: there is none; the message lists the names.
        """
        if name not in self:
            raise ValueError(f"There is no dataset {name!r}; choose {self.listed()}.")
        return self[name]

    def listed(self, word: str = "or") -> str:
        """The names in a sentence: `"cad_imdb, …, colored_mnist or punctuated_sst2"`."""
        *first, last = self
        return f"{', '.join(first)} {word} {last}" if first else last

    def __getitem__(self, name: str) -> type[Any]:
        if name not in self._classes and name in self._files:
            importlib.import_module(f"{self._package}.{name}")
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._files or name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files | set(self._classes)))

    def __len__(self) -> int:
        return len(self._files | set(self._classes))


DATASETS = DatasetRegistry(f"{__package__}.builders")
