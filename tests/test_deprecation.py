"""Names of version 0.1: they work with a warning, or say what to use, until the version that they were promised."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hf_metairm
from hf_metairm import EnvironmentTrainer, MetaIRMTrainer, deprecation
from hf_metairm.cli import app
from hf_metairm.deprecation import GONE, MODULES, NAMES, REMOVED_IN, overdue
from hf_metairm.evaluation import EnvironmentScores, Evaluation, evaluate_checkpoint
from hf_metairm.trainer import EnvironmentResult


ROOT = Path(__file__).parents[1]
OF_MODULES = {old: new for old, new in NAMES.items() if new.startswith("hf_metairm.")}
OF_OBJECTS = {old: new for old, new in NAMES.items() if old not in OF_MODULES}


@pytest.fixture(autouse=True)
def _as_at_the_start(monkeypatch):
    """Modules under old names are made once in a process: without this, the first test alone would be warned."""
    for name in [name for name in sys.modules if any(name.startswith(old) for old in MODULES)]:
        monkeypatch.delitem(sys.modules, name)


def test_it_is_deleted_in_time():
    assert not overdue(hf_metairm.__version__), (
        f"Version {hf_metairm.__version__} is the one without what hf_metairm/deprecation.py has: delete MODULES, "
        "NAMES and GONE, what looks them up, and the lines of tests/public_names.txt; docs/stability.md says why."
    )


@pytest.mark.parametrize(
    ("version", "said"),
    [("0.1.0", False), ("0.3.12", False), ("0.4.0.dev0", True), ("0.4.0", True), ("0.10.0", True), ("1.0.0", True)],
)
def test_when_it_is_overdue(version, said):
    assert REMOVED_IN == "0.4.0"
    assert overdue(version) == said


@pytest.mark.parametrize("old", MODULES)
def test_a_module_is_found_by_its_old_name(old):
    former, now = importlib.import_module(old), importlib.import_module(MODULES[old])
    own = [n for n, v in vars(now).items() if n[0] != "_" and getattr(v, "__module__", now.__name__) == now.__name__]
    name = next(iter(getattr(now, "__all__", own)))
    with pytest.warns(
        FutureWarning, match=rf"`{re.escape(old)}\.{name}` is `hf_metairm\.\S+` since .* {REMOVED_IN}\.$"
    ):
        assert getattr(former, name) is getattr(now, name)


@pytest.mark.parametrize("old", OF_MODULES)
def test_a_name_of_a_module_is_what_it_is_called_now(old):
    module, _, name = old.rpartition(".")
    new_module, _, new_name = NAMES[old].rpartition(".")
    former = importlib.import_module(module)
    with pytest.warns(FutureWarning, match=f"^{re.escape(deprecation.renamed(old, NAMES[old]))}$"):
        found = getattr(former, name)
    assert found is getattr(importlib.import_module(new_module), new_name)


def test_the_warning_comes_once_and_names_the_users_line(tmp_path):
    (tmp_path / "script.py").write_text(
        "import hf_metairm.trainers\n"
        "from hf_metairm.models import encoder_stepped_over\n"
        "from hf_metairm.datasets.inspection import inspect_dataset\n"
        "for _ in range(3):\n    hf_metairm.trainers.MetaIRMTrainer\n"
        "from hf_metairm.reproduction import selection\n"
        "assert hf_metairm.meta_gradient.__name__ == 'meta_gradient'\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = re.findall(r"script\.py:(\d+): FutureWarning: `([\w.]+)`", done.stderr)
    assert said == [
        ("2", "hf_metairm.models.encoder_stepped_over"),
        ("3", "hf_metairm.datasets.inspection.inspect_dataset"),
        ("5", "hf_metairm.trainers.MetaIRMTrainer"),
        ("6", "hf_metairm.reproduction.selection"),
    ]


def test_everything_of_a_module_can_be_imported():
    names: dict = {}
    with pytest.warns(FutureWarning):
        exec("from hf_metairm.trainers import *", names)
    assert names["MetaIRMTrainer"] is MetaIRMTrainer


@pytest.mark.parametrize(
    "line",
    [
        "from hf_metairm.datasets import ColoredMNIST, PunctuatedSST2, TensorRows",
        "from hf_metairm.datasets.digits import find_idx_files, read_idx",
        "from hf_metairm.datasets.inspection import inspect_dataset",
        "from hf_metairm.datasets.publish import push_to_hub, write_parquet",
        "from hf_metairm.models import encode_sentences, encoder_stepped_over",
        "from hf_metairm.recipes.finetune_text import main",
        "from hf_metairm.recipes.text_model import choose_trainable, load_classifier, load_tokenizer",
        "from hf_metairm.reproduction.selection import RULES",
        "from hf_metairm.trainers import ALGORITHMS",
        "from hf_metairm.trainers.configs import wrong",
        "from hf_metairm.trainers.model_card import Objective",
    ],
)
def test_what_pages_and_examples_of_version_01_imported(line):
    with pytest.warns(FutureWarning, match="since version 0.2"):
        exec(line, {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import hf_metairm.meta_gradient", "of version 0.1 is gone: import the function from hf_metairm"),
        (
            "from hf_metairm.meta_gradient import meta_gradient",
            "and what else the module had from hf_metairm.gradients",
        ),
        ("from hf_metairm.environments import split_by_environment", "a batch is {environment: inputs}"),
        ("from hf_metairm.reproduction import carry_out", "takes runs and a store of results"),
        ("from hf_metairm.trainers import PenaltyConfig", "use the Config of an algorithm"),
        ("from hf_metairm.trainers.irm import IRMConfig", "there is no `hf_metairm.trainer.irm`"),
        ("from hf_metairm.trainers import nothing", "which has no 'nothing'"),
        ("import hf_metairm.nothing", "No module named 'hf_metairm.nothing'"),
        ("from hf_metairm.models import nothing", "cannot import name 'nothing'"),
    ],
)
def test_what_is_gone_says_what_to_use(line, said):
    with pytest.raises(ImportError, match=re.escape(said)):
        exec(line, {})


def an_evaluation(metric: str) -> Evaluation:
    scores = [EnvironmentScores(name, 4, {metric: v}, None, 0.5, None, []) for name, v in (("a", 0.5), ("b", 1.0))]
    mean = 0.75
    return Evaluation("c", "d", None, "test", "e", [], scores, {metric: 0.8}, mean, None, "a", None, 0.95, {})


@pytest.mark.parametrize(("name", "value"), [("accuracy", 0.8), ("mean_accuracy", 0.75), ("worst_accuracy", 0.5)])
def test_old_attributes_of_an_evaluation(name, value):
    with pytest.warns(FutureWarning, match=rf"`hf_metairm\.evaluation\.Evaluation\.{name}` is "):
        assert getattr(an_evaluation("accuracy"), name) == value
    with pytest.warns(FutureWarning), pytest.raises(AttributeError, match="no 'accuracy' among the metrics"):
        getattr(an_evaluation("f1"), name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        an_evaluation("accuracy").to_dict()


def test_old_attributes_of_one_environment():
    with pytest.warns(FutureWarning, match=r'is `metrics\["accuracy"\]`'):
        assert an_evaluation("accuracy").environments[1].accuracy == 1.0
    with pytest.warns(FutureWarning, match=r'is `metrics\["accuracy"\]`'):
        assert EnvironmentResult("a", 10, 0.5, {"accuracy": 0.7}).accuracy == 0.7
    with pytest.warns(FutureWarning), pytest.raises(AttributeError, match="no 'accuracy' among the metrics"):
        _ = EnvironmentResult("a", 10, 0.5, {}).accuracy


def test_what_an_algorithm_minimizes_is_described_by_the_algorithm(tmp_path):
    from .trainer.toys import arguments, model_and_data

    model, data = model_and_data("bert")
    trainer = MetaIRMTrainer(model, arguments(tmp_path, hf_metairm.MetaIRMConfig), train_dataset=data)
    with pytest.warns(FutureWarning, match=r"is `algorithm\.describe`"):
        assert trainer.objective_description() == trainer.algorithm.describe()


@pytest.mark.parametrize("name", [old.rpartition(".")[2] for old in (*GONE, *NAMES) if ".EnvironmentTrainer." in old])
def test_a_method_that_nobody_calls_any_more_is_warned_of(name):
    with pytest.warns(FutureWarning, match=rf"does not call Mine\.{name} since version 0\.2: .*\.$") as said:
        type("Mine", (MetaIRMTrainer,), {name: lambda self: None})
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert type("Mine", (EnvironmentTrainer,), {"results_of": None})


def test_arguments_without_effect_are_warned_of_and_not_passed_on():
    with (
        pytest.warns(FutureWarning, match=r"evaluate_checkpoint\(resamples\)` has no effect .* are Wilson's"),
        pytest.warns(FutureWarning, match=r"evaluate_checkpoint\(seed\)` has no effect"),
        pytest.raises(ValueError, match="There are no rows"),
    ):
        evaluate_checkpoint("a folder", [], resamples=500, seed=1)
    with pytest.raises(TypeError, match="nothing_of_the_kind"):
        evaluate_checkpoint("a folder", [], nothing_of_the_kind=1)


@pytest.mark.parametrize("option", ["--bootstrap", "--seed"])
def test_options_without_effect_are_warned_of(option, tmp_path):
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "nowhere"), "reviews.csv", option, "5"])
    assert f"Warning: `hf-metairm evaluate {option}` has no effect since version 0.2" in done.stderr
    assert "nowhere" in done.stderr
    assert option not in CliRunner().invoke(app, ["evaluate", "--help"]).stdout


def test_every_old_name_is_tested_above():
    """Each entry of the three tables is taken by a kind of test that reads the table, or named in one."""
    tests = Path(__file__).read_text(encoding="utf-8")
    for old in {**OF_OBJECTS, **GONE}:
        if ".EnvironmentTrainer." not in old:
            name = re.findall(r"[\w-]+", old)[-1]
            assert re.search(rf"(?<![\w-]){name}\b", tests), old


def test_the_release_notes_name_every_one():
    page = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([^`]+)`", page))
    for old in (*MODULES, *NAMES, *GONE):
        last = re.findall(r"[\w-]+", old)[-1]
        assert named & {old, last, f"{last}()", old.rpartition(".")[0]}, old
