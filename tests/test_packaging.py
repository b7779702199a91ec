"""The wheel holds the whole package and works by itself; importing the package costs next to nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import hatchling.build
import pytest

import hf_metairm


ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "numpy", "pyarrow", "pandas", "matplotlib", "transformers", "datasets", "accelerate", "evaluate"}
HEAVY |= {"huggingface_hub", "tokenizers", "yaml", "rich.table"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, as `python -m build` makes it, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        name = hatchling.build.build_wheel(str(folder))
    with zipfile.ZipFile(folder / name) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(code: str, folder: Path) -> str:
    """What a new interpreter prints that finds the package in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True, timeout=600
    )
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    files = {p.relative_to(ROOT) for p in (ROOT / "hf_metairm").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert {p.relative_to(wheel) for p in (wheel / "hf_metairm").rglob("*") if p.is_file()} == files
    assert {"py.typed", "data/bundled/mnist.parquet", "cards/model_card.md.jinja"} <= {
        str(file.relative_to("hf_metairm")) for file in files
    }
    assert {p.name for p in wheel.iterdir()} == {"hf_metairm", f"hf_metairm-{hf_metairm.__version__}.dist-info"}
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    described = Parser().parsestr(metadata.read_text(encoding="utf-8"))
    assert described["Version"] == hf_metairm.__version__
    assert {"demo", "peft", "docs"} <= set(described.get_all("Provides-Extra"))
    assert (metadata.parent / "licenses" / "LICENSE").is_file()


def test_the_command_of_the_wheel_runs_without_the_checkout(wheel):
    (entry,) = (line for line in next(wheel.glob("*/entry_points.txt")).read_text().splitlines() if " = " in line)
    name, target = entry.split(" = ")
    assert name == "hf-metairm"
    module, function = target.split(":")
    code = f"import sys, {module} as m; sys.argv = ['hf-metairm', 'env', '--json']; print(m.__file__); m.{function}()"
    file, _, found = python(code, wheel).partition("\n")
    assert Path(file).is_relative_to(wheel)
    assert json.loads(found)["hf_metairm"] == hf_metairm.__version__


@pytest.mark.parametrize("module", ["hf_metairm", "hf_metairm.cli"])
def test_importing_it_loads_no_heavy_library(module):
    loaded = set(python(f"import sys, {module}; print(*sys.modules)", ROOT).split())
    assert module in loaded
    assert not loaded & HEAVY


def test_every_public_name_is_there_on_first_use():
    for name in hf_metairm.__all__:
        assert getattr(hf_metairm, name).__name__ == name


def test_the_type_checker_sees_every_public_name_used():
    tree = ast.parse((ROOT / "tests" / "typed_use.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "hf_metairm"]
    assert {alias.name for node in imports for alias in node.names} >= set(hf_metairm.__all__)
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.mypy]")[2].partition("[[")[0]
    assert '"tests/typed_use.py"' in settings
    assert "strict = true" in settings
