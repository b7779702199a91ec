"""
The names that docs/stability.md makes a promise about, one a line: `python -m tests.public_names` writes
public_names.txt anew, which test_public_names.py holds the package against.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import evaluate
import torch
import typer.main
from transformers import PreTrainedConfig, TrainingArguments

import hf_metairm
from hf_metairm.algorithms import ALGORITHMS, Algorithm
from hf_metairm.cli import app
from hf_metairm.data import DATASETS
from hf_metairm.experiments.finetune_text import TextArguments
from hf_metairm.experiments.train_colored_mnist import ColoredMNISTArguments
from hf_metairm.gradients import KINDS
from hf_metairm.inference import METHODS
from hf_metairm.paper import TABLES
from hf_metairm.selection import TUNING_RULES
from hf_metairm.tuning.tune import TuneArguments


ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".txt")
# What others promise: the fields and arguments of their classes.
OTHERS = (
    TrainingArguments,
    PreTrainedConfig,
    datasets.BuilderConfig,
    evaluate.Metric,
    torch.nn.Module,
)
SETTINGS = {
    "train (finetune_text)": TextArguments,
    "train (train_colored_mnist)": ColoredMNISTArguments,
    "tune": TuneArguments,
}
_ENTRY = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", re.MULTILINE)


def public_names() -> list[str]:
    """All of them, sorted."""
    return sorted({*_of_the_package(), *_of_the_reference(), *_of_the_command_line(), *_of_the_registries()})


def _of_the_package() -> Iterator[str]:
    """Without those that need an extra, and with them: the stub says both."""
    stub = (ROOT / "hf_metairm" / "__init__.pyi").read_text(encoding="utf-8")
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ImportFrom):
            yield from (f"hf_metairm.{alias.asname or alias.name}" for alias in node.names)
    yield from (f"hf_metairm.{name}" for name in hf_metairm.__all__)


def _of_the_reference() -> Iterator[str]:
    """What docs/api.md describes, with arguments, fields and members."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    moving = tuple(still_moving())
    for path, options in _ENTRY.findall(page + "\n"):
        if path.startswith(moving):
            continue
        thing = pkgutil.resolve_name(path)
        if inspect.ismodule(thing):
            members = [n for n, v in vars(thing).items() if getattr(v, "__module__", None) == path and n[0] != "_"]
        else:
            yield path
            yield from (f"{path}({name})" for name in _arguments(thing))
            members = _members(thing, options)
        for name in members:
            yield f"{path}.{name}"
            yield from (f"{path}.{name}({argument})" for argument in _arguments(getattr(thing, name)))


def still_moving() -> list[str]:
    """The names that docs/stability.md excepts: the page lists them under a heading of their own."""
    page = (ROOT / "docs" / "stability.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Public, and still moving$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    return re.findall(r"`(hf_metairm[\w.]+)`", section)


def _arguments(thing: Any) -> list[str]:
    """Of a call, or the fields of a dataclass; without those of others' classes."""
    if not callable(thing) or not hasattr(thing, "__name__"):  # A registry, or a property.
        return []
    if inspect.isclass(thing) and issubclass(thing, Algorithm):  # Made by a Trainer.
        return []
    bases = thing.__mro__ if inspect.isclass(thing) else ()
    of_others = {name for base in bases if base in OTHERS for name in inspect.signature(base).parameters}
    parameters = inspect.signature(thing).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.kind not in variable and p.name not in {"self", *of_others}]


def _members(thing: Any, options: str) -> list[str]:
    """Those that the page shows of a class: the listed ones, none, or all that have a docstring."""
    listed = re.search(r"\bmembers: (?:\[(.*?)\]|(false))", options.replace("inherited_members:", ""))
    if listed:
        return re.findall(r"\w+", listed[1] or "")
    if not inspect.isclass(thing):
        return []
    return [
        n for n, v in vars(thing).items() if n[0] != "_" and (callable(v) or isinstance(v, property)) and v.__doc__
    ]


def _of_the_command_line() -> Iterator[str]:
    for command, described in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        yield f"hf-metairm {command}"
        for parameter in described.params:
            if not getattr(parameter, "hidden", False) and parameter.name != "help":
                words = [*parameter.opts, *parameter.secondary_opts]
                yield from (f"hf-metairm {command} {word if word[0] == '-' else word.upper()}" for word in words)
    for recipe, arguments in SETTINGS.items():
        yield from (f"hf-metairm {recipe} --{f.name}" for f in dataclasses.fields(arguments))


def _of_the_registries() -> Iterator[str]:
    for what, names in (
        ("algorithm", ALGORITHMS),
        ("dataset", DATASETS),
        ("kind of meta-gradient", KINDS),
        ("method of infer-environments", METHODS),
        ("selection rule", TUNING_RULES),
        ("table of the paper", TABLES),
    ):
        yield from (f"{what}: {name}" for name in names)
    for name, builder in DATASETS.items():
        yield from (f"config of {name}: {config}" for config in getattr(builder, "builder_configs", {}))


if __name__ == "__main__":
    LIST.write_text("\n".join(public_names()) + "\n", encoding="utf-8")
