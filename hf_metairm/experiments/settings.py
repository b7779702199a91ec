"""
Settings of a recipe: a YAML file, overridden field by field on the command line, checked before anything is loaded.

Both hold words; the dataclasses' types say, through `HfArgumentParser`, what they mean. So a site may be called 010,
no or 1e3. What is left to do here: one command line sets the fields of several Configs, each of which has its own.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, NoReturn, Protocol, TypeVar, get_type_hints

import yaml
from transformers import HfArgumentParser

from ..trainer import ALGORITHMS, EnvironmentConfig
from .config_files import find_config


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


ArgumentsT = TypeVar("ArgumentsT", bound=_Dataclass)


@dataclass
class Settings(Generic[ArgumentsT]):
    """
    What a recipe was asked to do.

    Args:
        arguments: the recipe's own dataclass.
        algorithms (`list[str]`): the algorithms to run.
        fields (`dict[str, dict]`): for every algorithm, the fields of its Config as they were given.
    """

    arguments: ArgumentsT
    algorithms: list[str]
    fields: dict[str, dict[str, Any]]

    def config(self, algorithm: str, defaults: dict[str, Any] | None = None, **fields: Any) -> EnvironmentConfig:
        """The algorithm's Config, with `fields` on top of what was given, and `defaults` below it."""
        given = {**(defaults or {}), **self.fields[algorithm], **fields}
        config: EnvironmentConfig = ALGORITHMS[algorithm][1](**given)  # Or another with its fields.
        return config


def read_settings(recipe: type[ArgumentsT], argv: list[str] | None = None) -> Settings[ArgumentsT]:
    """
    Read `--config FILE`, see [`find_config`], and what overrides it.

    The file holds fields of the recipe's dataclass and of the algorithms' Configs, which go to every algorithm that
    has them, and under `algorithms:` a section for each algorithm to run with the fields that are its own. On the
    command line, `--field value` overrides both, and `--algorithms erm meta-irm` chooses among the sections.

    Args:
        recipe (`type`): the recipe's dataclass.
        argv (`list[str]`, *optional*): the command line; the program's own if `None`.

    Raises:
        ValueError: a file that is not there or not YAML, an unknown field (with the nearest known one), a value that
            a field cannot take.
    """
    given = _command_line(sys.argv[1:] if argv is None else argv)
    file = given.pop("config", None)
    if isinstance(file, list):
        raise ValueError(f"Unexpected {file[1]!r} after --config {file[0]}: settings are given as --name value.")
    settings = _read_yaml(find_config(str(file))) if file is not None else {}
    settings.pop("recipe", None)
    sections = _sections(settings.pop("algorithms", {}))
    chosen = given.pop("algorithms", None)
    names = [chosen] if isinstance(chosen, str) else list(chosen or sections or ["erm", "meta-irm"])
    for name in [*names, *sections]:
        if name not in ALGORITHMS:
            raise ValueError(f"Unknown algorithm {name!r}: use one or more of {', '.join(ALGORITHMS)}.")

    own = {f.name for f in dataclasses.fields(recipe)}
    known = {name: {f.name for f in dataclasses.fields(ALGORITHMS[name][1])} - own for name in ALGORITHMS}
    for key in [*settings, *given]:
        _check_known(key, own.union(*(known[name] for name in names)))
    fields = {}
    for name, section in ((name, sections.get(name, {})) for name in ALGORITHMS):
        for key in section:
            _check_known(key, known[name])
        words = {k: v for k, v in {**settings, **section, **given}.items() if k in known[name]}
        fields[name] = _typed(ALGORITHMS[name][1], words)
    words = {k: v for k, v in {**settings, **given}.items() if k in own}
    read = Settings(recipe(**_typed(recipe, words)), names, fields)
    for name in ALGORITHMS:
        read.config(name, output_dir="unused")  # What a Config refuses is refused before anything is loaded.
    return read


def _command_line(argv: list[str]) -> dict[str, Any]:
    """`--name value …` as a dictionary; several values make a list, none makes a flag."""
    given: dict[str, list[str]] = {}
    name = None
    for word in argv:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            name = name.replace("-", "_")
            given[name] = [value] if equals else []
        elif name is None:
            raise ValueError(f"Unexpected {word!r}: settings are given as --name value.")
        else:
            given[name].append(word)
    return {k: True if not v else v[0] if len(v) == 1 else v for k, v in given.items()}


def _read_yaml(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    try:
        content = yaml.load(text, yaml.BaseLoader)  # nosec B506
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise ValueError(f"{file} is not YAML that can be read ({where}): mend it or leave --config out.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds no settings: it must be YAML lines of the form name: value.")
    return _without_nulls(content)


def _without_nulls(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that a file gives: all of its words are words, but for one without a value or with null."""
    return {k: v for k, v in settings.items() if not isinstance(v, str) or v not in ("", "~", "null")}


def _sections(given: Any) -> dict[str, dict[str, Any]]:
    """By algorithm the settings that are its own; a list of algorithms has none."""
    sections = dict.fromkeys(map(str, given), "") if isinstance(given, list) else given
    for name, section in sections.items() if isinstance(sections, dict) else [("algorithms", sections)]:
        if section != "" and not isinstance(section, dict):
            raise ValueError(f"The settings file says {name}: {section}, where lines of the form name: value go.")
    return {name: _without_nulls(section) if isinstance(section, dict) else {} for name, section in sections.items()}


def _check_known(key: str, known: set[str]) -> None:
    if key not in known:
        near = difflib.get_close_matches(key, sorted(known), 1)
        raise ValueError(f"Unknown setting {key!r}" + (f": did you mean {near[0]!r}?" if near else "."))


class _Parser(HfArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(" ".join(message.split()) + ".")


def _typed(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """What the words become by the types of a dataclass's fields."""
    hints = {name: str(hint).lower() for name, hint in get_type_hints(kind).items()}
    words: list[str] = []
    lists: dict[str, list[str]] = {}
    for key, value in values.items():
        if isinstance(value, list) and ("list" not in hints[key] or not all(isinstance(v, str) for v in value)):
            raise ValueError(f"{key} takes {'words' if 'list' in hints[key] else 'one value'}, not the list {value}.")
        if isinstance(value, dict) and "dict" not in hints[key]:
            raise ValueError(f"{key} takes a value, not lines of the form name: value ({', '.join(value)}).")
        if value is True:
            words.append(f"--{key}")
        elif isinstance(value, list) and (not value or not hints[key].startswith("list")):
            lists[key] = value  # The parser knows neither an empty list nor fields that take a list or a word.
        elif isinstance(value, list):
            words += [f"--{key}", *value]
        else:
            words.append(f"--{key}={json.dumps(_plain(value)) if isinstance(value, dict) else value}")
    parsed = {**vars(_Parser(kind).parse_args(words)), **lists}
    return {key: parsed[key] for key in values}


def _plain(value: Any) -> Any:
    """The words within a field that holds a dictionary, as YAML reads them: no type is known of them."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else yaml.safe_load(value)
