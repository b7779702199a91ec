"""The versions that are said to be tested are those that the suite runs with; what is imported is declared."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import hf_metairm

from .pages import ROOT


PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
FILES = ("constraints-oldest.txt", "constraints.txt", "constraints-newest.txt")
# Not imported: fills in the card's template for huggingface_hub.
NEEDED_BY_OTHERS = {"jinja2"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    """The exact versions in a file of constraints."""
    found = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    return {canonical(name): version for name, version in found}


def bounds(block: str) -> dict[str, str]:
    """The lower bound of each requirement in a list of pyproject.toml."""
    text = re.search(rf"^{block} = \[(.*?)\]", PYPROJECT, re.MULTILINE | re.DOTALL)[1]
    return {canonical(name): version for name, version in re.findall(r'"([\w.-]+)>=([\d.]+)', text)}


def imported() -> set[str]:
    """The distributions that the package imports."""
    modules: set[str] = set()
    for file in Path(hf_metairm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.partition(".")[0])
    distributions = packages_distributions()
    others = modules - set(sys.stdlib_module_names) - {"hf_metairm"}
    return {canonical(distributions[module][0]) for module in others}


def test_the_page_says_which_versions_are_tested():
    page = (ROOT / "docs" / "support.md").read_text("utf-8").partition("## Versions")[2]
    rows = re.findall(r"^\| ([\w-]+) \| (\S+) \| (\S+) \| (\S+) \|$", page, re.MULTILINE)
    assert {"torch", "transformers", "accelerate", "datasets"} <= {row[0] for row in rows}
    for name, *versions in rows:
        assert versions == [pins(file)[name] for file in FILES], name


@pytest.mark.parametrize("block", ["dependencies", "peft"])
def test_the_oldest_tested_are_the_lower_bounds(block):
    oldest = pins("constraints-oldest.txt")
    assert bounds(block) == {name: oldest[name] for name in bounds(block)}


def test_what_is_imported_is_declared_and_no_more():
    optional = bounds("demo") | bounds("peft") | bounds("icp") | bounds("trl") | bounds("tune") | bounds("explore")
    assert imported() - set(optional) == set(bounds("dependencies")) - NEEDED_BY_OTHERS
