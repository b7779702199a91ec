"""The layout of docs/architecture.md holds: every import of the package goes down, and no room is overcrowded."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hf_metairm"
PAGE = ROOT / "docs" / "architecture.md"
FILES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")])
PLAIN = {"algorithms", "gradients", "environments", "metrics", "registry", "ordering", "selection"}
LONGEST_FILE, LARGEST_ROOM = 400, 0.20


def name_of(file: Path) -> str:
    """Of a module; a stub says what its module imports when a name is asked for."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file) for file in FILES}


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it the import stands."""
    package = name_of(file).split(".") if file.stem == "__init__" else name_of(file).split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                yield whole if whole in MODULES else module


def edges() -> dict[str, set[str]]:
    """From each module of the package to those of the package that it imports."""
    found: dict[str, set[str]] = {name: set() for name in MODULES}
    for file in FILES:
        found[name_of(file)] |= {m for m in imported(file) if m in MODULES and m != name_of(file)}
    return found


def layers() -> list[list[str]]:
    """The rooms as the page draws them, from top to bottom."""
    (drawing,) = re.findall(r"^## The rooms$.*?^```text\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return [re.findall(r"(\w+)(?:/|\.py)(?=\s)", line) for line in drawing.splitlines()]


def room_of(module: str) -> str:
    """The folder or file in the package; what stands outside of every room is the door: `hf_metairm` itself."""
    return [*module.split("."), "__main__"][1]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """One path for each module that can be reached from itself."""

    def back(start: str) -> list[str] | None:
        paths, seen = [[start]], set()
        while paths:
            path = paths.pop()
            for following in sorted(graph[path[-1]]):
                if following == start:
                    return [*path, start]
                if following not in seen:
                    seen.add(following)
                    paths.append([*path, following])
        return None

    return [path for path in map(back, sorted(graph)) if path]


def upward(graph: dict[str, set[str]], rooms: list[list[str]]) -> list[str]:
    """Imports from another room that is not further down."""
    depth = {room: k for k, line in enumerate(rooms, start=1) for room in line} | {"__main__": 0}
    return [
        f"{module} imports {other}"
        for module, others in sorted(graph.items())
        for other in sorted(others)
        if room_of(module) != room_of(other) and depth[room_of(module)] >= depth[room_of(other)]
    ]


def lines_by_room() -> dict[str, int]:
    lines: dict[str, int] = {}
    for file in FILES:
        room = room_of(name_of(file))
        lines[room] = lines.get(room, 0) + len(file.read_text(encoding="utf-8").splitlines())
    return lines


def test_the_page_draws_every_room():
    drawn = [room for line in layers() for room in line]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {room_of(module) for module in MODULES} - {"__main__"}


def test_no_two_files_import_each_other():
    assert circles(edges()) == []


def test_no_import_goes_up():
    assert upward(edges(), layers()) == []


def test_nothing_is_imported_for_a_type_alone():
    assert [name_of(f) for f in FILES if "TYPE_CHECKING" in f.read_text(encoding="utf-8")] == []


def test_the_core_needs_no_library_of_hugging_face():
    allowed = set(sys.stdlib_module_names) | {"hf_metairm", "numpy", "torch"}
    files = [file for file in FILES if room_of(name_of(file)) in PLAIN]
    assert {f"{name_of(f)}: {m}" for f in files for m in imported(f) if m.partition(".")[0] not in allowed} == set()


def test_no_file_is_long():
    lengths = {name_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_room_is_crowded():
    lines = lines_by_room()
    total = sum(lines.values())
    shares = {room: round(count / total, 3) for room, count in lines.items()}
    assert {room: share for room, share in shares.items() if share >= LARGEST_ROOM} == {}


@pytest.mark.parametrize(
    ("module", "other", "said"),
    [
        ("hf_metairm.gradients.pairs", "hf_metairm.trainer.base", True),
        ("hf_metairm.data.own", "hf_metairm.algorithms.base", True),  # of the same line
        ("hf_metairm.cards.text", "hf_metairm", True),
        ("hf_metairm.cli.push", "hf_metairm.registry", False),
    ],
)
def test_a_wrong_import_would_be_found(module, other, said):
    graph: dict[str, set[str]] = {name: set() for name in MODULES} | {module: {other}}
    assert upward(graph, layers()) == ([f"{module} imports {other}"] if said else [])


def test_a_circle_would_be_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [list("abca"), list("bcab"), list("cabc")]
