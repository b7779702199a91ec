"""`--list-settings`: every setting of a recipe and of the algorithms, with its default and where it counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from transformers import TrainingArguments

from ..cards.training import BUDGET
from ..trainer import ALGORITHMS


# Of the many fields of `TrainingArguments`, those that nearly every command sets.
OF_TRAINING = [name for name in ("max_steps", "num_train_epochs", *BUDGET, "report_to", "use_cpu") if name != "seed"]
LONGEST_NAME = 27
Row = tuple[str, str, str, str]


def listed(recipe: type, defaults: Mapping[str, str], own: bool = False) -> dict[str, list[Row]]:
    """
    The settings by section, each a row: its name, its default, where it counts (nothing where it always does), and
    what it is.

    Args:
        recipe (`type`): the recipe's dataclass.
        defaults (`Mapping[str, str]`): those of the recipe, in words, for fields of the Configs.
        own (`bool`, *optional*, defaults to `False`): whether the recipe takes what the algorithms have in
            `on_own_data` and, with `stages=two`, in `on_features`.
    """
    used_if = getattr(recipe, "used_if", {})
    of_recipe = [
        (f.name, _default(f), _conditions(used_if.get(f.name, {})), f.metadata.get("help", ""))
        for f in _own_first(recipe)
    ]
    taken = {name for name, *_ in of_recipe}
    return {
        "data, model and output": of_recipe,
        "algorithms": [row for row in _of_algorithms(own) if row[0] not in taken],
        "training (and any other field of TrainingArguments)": [
            (name, defaults.get(name) or _default(f), "", f.metadata.get("help", "").partition(". ")[0])
            for name, f in _by_name(TrainingArguments, OF_TRAINING).items()
            if name not in taken
        ],
    }


def print_settings(sections: Mapping[str, list[Row]]) -> None:
    """The sections as tables on the terminal."""
    console = Console(width=None if Console().is_terminal else 120)
    for title, rows in sections.items():
        shown = Table(
            title=escape(title.capitalize()), title_justify="left", box=SIMPLE_HEAD, expand=True, pad_edge=False
        )
        shown.add_column("--setting", no_wrap=True, width=LONGEST_NAME)
        for heading, share in (("default", 3), ("counts for", 3), ("", 6)):
            shown.add_column(heading, ratio=share, overflow="fold")
        for row in rows:
            shown.add_row(*map(escape, row))
        console.print(shown)


def _of_algorithms(own: bool) -> Iterator[Row]:
    """A row for every field and default that algorithms have in common."""
    plain = {f.name for f in dataclasses.fields(TrainingArguments)}
    found: dict[tuple[str, str], tuple[list[str], dataclasses.Field[Any], Mapping[str, Any]]] = {}
    for name, (_, config) in ALGORITHMS.items():
        for f in dataclasses.fields(config):
            if f.name not in plain:
                default = str(config.on_own_data[f.name]) if own and f.name in config.on_own_data else _default(f)
                if own and f.name in config.on_features:
                    default += f"; {config.on_features[f.name]:g} with stages two"
                conditions = config.used_if.get(f.name, {})
                found.setdefault((f.name, default), ([], f, conditions))[0].append(name)
    for (field_name, default), (names, f, conditions) in found.items():
        of = "" if len(names) == len(ALGORITHMS) else ", ".join(names)
        counts = ": ".join(part for part in (of, _conditions(conditions)) if part)
        yield field_name, default, counts, f.metadata.get("help", "")


def _conditions(needed: Mapping[str, Any]) -> str:
    words = {name: " or ".join(value) if isinstance(value, tuple) else value for name, value in needed.items()}
    return ", ".join(f"{name} {value}" for name, value in words.items())


def _default(f: dataclasses.Field[Any]) -> str:
    if f.default_factory is not dataclasses.MISSING:
        value: Any = f.default_factory()
    else:
        value = f.default
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None or value == "" else str(getattr(value, "value", value))


def _own_first(recipe: type) -> list[dataclasses.Field[Any]]:
    """The fields of a dataclass, those that it adds before those of the classes that it is made from."""
    names = dict.fromkeys(name for cls in recipe.__mro__ for name in vars(cls).get("__annotations__", {}))
    return list(_by_name(recipe, names).values())


def _by_name(kind: Any, names: Iterable[str]) -> dict[str, dataclasses.Field[Any]]:
    """Those of a dataclass's fields that have these names, in that order."""
    known = {f.name: f for f in dataclasses.fields(kind)}
    return {name: known[name] for name in names if name in known}
