"""The pages that people read, and what stands in them."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with bandit[toml]

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [README, *DOCS]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# As in PEP 723.
_HEADER = re.compile(r"^# /// script$\s((?:^#(?:| .*)$\s)+)^# ///$", re.MULTILINE)
_INLINE = re.compile(r"`((?:hf|hf-metairm|accelerate launch|make|python|pip install|uv) [^`]+)`")


@dataclass
class Snippet:
    """A fenced block: its language, its text, and the line of the page that the text begins at."""

    language: str
    text: str
    line: int


def benchmark(name: str) -> ModuleType:
    """A script of benchmarks/, which is no package, as a module."""
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", ROOT / "benchmarks" / f"{name}.py")
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)  # Where its dataclasses look for it.
    spec.loader.exec_module(module)
    return module


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def snippets(page: Path, language: str) -> list[Snippet]:
    text = page.read_text(encoding="utf-8")
    found = [Snippet(m[1], m[2], text.count("\n", 0, m.start()) + 2) for m in _FENCE.finditer(text)]
    return [snippet for snippet in found if snippet.language == language]


def header(script: Path) -> dict:
    """What a script says that it needs (PEP 723), as `uv run` reads it; nothing where it says nothing."""
    block = _HEADER.search(script.read_text(encoding="utf-8"))
    return tomllib.loads(re.sub("^# ?", "", block[1], flags=re.MULTILINE)) if block else {}


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every command, in blocks and within sentences."""
    for snippet in snippets(page, "bash"):
        for line in snippet.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words
    for text in _INLINE.findall(prose(page)):
        yield [word for word in shlex.split(text.replace("\n", " ")) if word != "…"]
