"""Private names of other libraries: all are listed, and each is there in the installed version."""

from __future__ import annotations

import ast
import functools
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import hf_metairm
from hf_metairm.trainer.private import PRIVATE


PACKAGE = Path(hf_metairm.__file__).parent
NOT_PRIVATE = {"_replace", "_exit"}  # documented: of a named tuple, and of `os`
LISTED = {name for names in PRIVATE.values() for name in names}


def is_private(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"_[A-Za-z]\w*", name) is not None


def uses(tree: ast.AST) -> set[str]:
    """The private names that a file reads, calls, sets, imports, or overrides as a method or a field."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            found.add(getattr(node.args[1], "value", ""))
        elif isinstance(node, ast.ClassDef):
            found |= {getattr(part, "name", "") for part in node.body}
    return {name for name in found if is_private(name)} - NOT_PRIVATE


def definitions(tree: ast.AST) -> set[str]:
    """The names that a file defines, or sets on `self`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def is_in(owner: object, name: str) -> bool:
    """Whether a class or module has a name, as its own or on its instances."""
    if hasattr(owner, name):
        return True
    return re.search(rf"\bself\.{name}\b", sources(owner)) is not None


def sources(owner: object) -> str:
    return "\n".join(map(source, getattr(owner, "__mro__", ())[:-1]))


source = functools.cache(inspect.getsource)  # It parses the whole file for each class, and most have bases in common.


def unlisted(trees: list[ast.AST]) -> set[str]:
    """The private names that are another library's: not defined here, or defined there as well."""
    own = set().union(*map(definitions, trees))
    # Without trl's, which only one file builds on, and which need not be installed.
    owners = [owner for owner in PRIVATE if not owner.startswith("trl.")]
    classes = [owner for owner in map(pkgutil.resolve_name, owners) if inspect.isclass(owner)]
    foreign = {n for n in set().union(*map(uses, trees)) if n not in own or any(is_in(c, n) for c in classes)}
    return foreign - LISTED


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in PRIVATE.items() for name in names])
def test_every_listed_name_is_there(owner, name):
    pytest.importorskip(owner.partition(".")[0])
    assert is_in(pkgutil.resolve_name(owner), name)


def test_every_private_name_of_another_library_is_listed():
    assert unlisted([ast.parse(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py")]) == set()


def test_every_listed_name_is_used():
    assert set().union(*(uses(ast.parse(file.read_text("utf-8"))) for file in PACKAGE.rglob("*.py"))) >= LISTED


@pytest.mark.parametrize(
    "code",
    [
        "self.trainer._clip_grad_norm(model)",
        "class A(Trainer):\n    def _maybe_log_save_evaluate(self): ...",
        "getattr(trainer, '_created_lr_scheduler', None)",
        "self._globalstep_last_logged = 0",
        "from torch._higher_order_ops import cond",
    ],
)
def test_a_new_use_is_found(code):
    assert unlisted([ast.parse(code)])
