"""Settings of a job: a YAML file, overridden field by field on the command line, checked before anything is loaded."""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import yaml
from transformers import HfArgumentParser

from ..trainer import ALGORITHMS, EnvironmentConfig


ArgumentsT = TypeVar("ArgumentsT")


@dataclass
class Settings(Generic[ArgumentsT]):
    """
    What a job was asked to do.

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
        return _parse(ALGORITHMS[algorithm][1], {**(defaults or {}), **self.fields[algorithm], **fields})


def read_settings(recipe: type[ArgumentsT], argv: list[str] | None = None) -> Settings[ArgumentsT]:
    """
    Read `--config FILE` and what overrides it.

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
    settings = _read_yaml(Path(str(file))) if file is not None else {}
    settings.pop("recipe", None)
    sections: dict[str, dict] = {k: dict(v or {}) for k, v in (settings.pop("algorithms", None) or {}).items()}
    chosen = given.pop("algorithms", None)
    names = [chosen] if isinstance(chosen, str) else list(chosen or sections or ["erm", "meta-irm"])
    for name in [*names, *sections]:
        if name not in ALGORITHMS:
            raise ValueError(f"Unknown algorithm {name!r}: use one or more of {', '.join(ALGORITHMS)}.")

    own = {f.name for f in dataclasses.fields(recipe)}  # type: ignore[arg-type]
    known = {name: {f.name for f in dataclasses.fields(ALGORITHMS[name][1])} - own for name in ALGORITHMS}
    for key in [*settings, *given]:
        _check_known(key, own.union(*(known[name] for name in names)))
    fields = {}
    for name, section in ((name, sections.get(name, {})) for name in ALGORITHMS):
        for key in section:
            _check_known(key, known[name])
        fields[name] = {k: v for k, v in {**settings, **section, **given}.items() if k in known[name]}
        _parse(ALGORITHMS[name][1], {"output_dir": "unused", **fields[name]})
    arguments = _parse(recipe, {k: v for k, v in {**settings, **given}.items() if k in own})
    return Settings(arguments, names, fields)


def _command_line(argv: list[str]) -> dict[str, Any]:
    """`--name value …` as a dictionary; several values make a list, none makes a flag."""
    given: dict[str, list] = {}
    name = None
    for word in argv:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            name = name.replace("-", "_")
            given[name] = [_number(value)] if equals else []
        elif name is None:
            raise ValueError(f"Unexpected {word!r}: settings are given as --name value.")
        else:
            given[name].append(_number(word))
    return {k: True if not v else v[0] if len(v) == 1 else v for k, v in given.items()}


def _number(word: str) -> str | int | float:
    """A number as the YAML file would have it, so that it is the same setting; else the word itself."""
    value = yaml.safe_load(word)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else word


def _read_yaml(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ValueError(f"There is no settings file {str(file)!r}: give the path of a YAML file to --config.")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise ValueError(f"{file} is not YAML that can be read ({where}): mend it or leave --config out.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds no settings: it must be YAML lines of the form name: value.")
    return content


def _check_known(key: str, known: set[str]) -> None:
    if key not in known:
        near = difflib.get_close_matches(key, sorted(known), 1)
        raise ValueError(f"Unknown setting {key!r}" + (f": did you mean {near[0]!r}?" if near else "."))


class _Parser(HfArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(" ".join(message.split()) + ".")


def _parse(kind: Any, values: dict[str, Any]) -> Any:
    """Let the dataclass's own types turn strings and numbers into what its fields hold."""
    words: list[str] = []
    for key, value in values.items():
        if value is None:
            continue
        items = value if isinstance(value, (list, tuple)) else [value]
        words += [f"--{key}", *(json.dumps(v) if isinstance(v, dict) else str(v) for v in items)]
    return _Parser(kind).parse_args_into_dataclasses(args=words, look_for_args_file=False)[0]
