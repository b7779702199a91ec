"""Every Python snippet of the pages runs as it stands, but for a smaller model, a file that is there, fewer steps."""

from __future__ import annotations

import ast
import copy
import sys
import types

import pytest
import torch

from hf_metairm.algorithms import ALGORITHMS as REGISTERED
from hf_metairm.experiments.finetune_text import TextArguments
from hf_metairm.experiments.settings import read_settings
from hf_metairm.trainer import ALGORITHMS

from ..trainer.toys import arguments, model_and_data
from .pages import PAGES, README, ROOT, name_of, snippets


INDEX, OWN_DATA, ALGORITHM = (ROOT / "docs" / f"{name}.md" for name in ("index", "own_data", "new_algorithm"))
REST = [page for page in PAGES if page not in (README, INDEX, OWN_DATA, ALGORITHM) and snippets(page, "python")]
SMALL_SEARCH = "--trials 1 --trainable head --max_steps 2 --head_units 4 --seeds 0 --algorithms erm --models false"
FEW_STEPS = "max_steps=2, report_to='none', use_cpu=True, disable_tqdm=True"


def run(page, encoder, namespace):
    """The page's snippets, each going on where the one before it ended."""
    for snippet in snippets(page, "python"):
        code = snippet.text.replace("distilbert-base-uncased", str(encoder))
        code = code.replace('"max_steps": 300, ', "").replace('"output", ', f'"output", {FEW_STEPS}, ')
        code = code.replace("--trials 20", SMALL_SEARCH)
        # Empty lines ahead, so that an error names the line of the page.
        exec(compile("\n" * (snippet.line - 1) + code, str(page), "exec", dont_inherit=True), namespace)
    return namespace


@pytest.fixture(scope="module")
def own_data(encoder, folder_with_reviews):
    """What the snippets on one's own data leave behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder_with_reviews)
        return run(OWN_DATA, encoder, {"__name__": "snippet"})


@pytest.fixture
def begun(own_data, folder_with_reviews, monkeypatch):
    """A page that goes on where that on one's own data ended."""
    monkeypatch.chdir(folder_with_reviews)
    module = types.ModuleType("snippet")  # a real one: a checkpoint keeps its Config by module and name
    monkeypatch.setitem(sys.modules, "snippet", module)
    vars(module).update(own_data, model=copy.deepcopy(own_data["model"]))
    return vars(module)


@pytest.fixture
def tilted(begun, encoder):
    before = list(REGISTERED)
    yield run(ALGORITHM, encoder, begun)
    for name in set(REGISTERED) - set(before):
        del REGISTERED[name]


def test_the_first_snippet_is_short_and_runs_in_an_empty_folder(tmp_path, monkeypatch, capsys):
    (snippet,) = snippets(README, "python")
    assert [snippet.text] == [s.text for s in snippets(INDEX, "python")]
    assert len([line for line in snippet.text.splitlines() if line.strip()]) <= 14
    monkeypatch.chdir(tmp_path)
    trainer = run(README, "", {"__name__": "snippet"})["trainer"]
    assert trainer.state.global_step == 2
    printed = ast.literal_eval(capsys.readouterr().out.splitlines()[-1])
    for page in (README, INDEX):
        assert ast.literal_eval(snippets(page, "text")[0].text).keys() == printed.keys()


def test_ones_own_data(own_data):
    assert {"eval_paris_accuracy", "eval_worst_environment_accuracy"} <= own_data["trainer"].evaluate().keys()


@pytest.mark.parametrize("page", REST, ids=name_of)
def test_page(page, encoder, begun):
    run(page, encoder, begun)


def test_the_worked_algorithm_is_short_and_known_by_its_name(tilted):
    assert len([line for line in snippets(ALGORITHM, "python")[0].text.splitlines() if line.strip()]) < 60
    assert tilted["trainer"].state.global_step == 2
    assert tilted["trainer"].algorithm.describe().formula.endswith("t = 5")
    settings = read_settings(TextArguments, ["--algorithms", "erm", "tilted-erm", "--tilt", "5"])
    assert settings.config("tilted-erm", output_dir="unused").tilt == 5
    with pytest.raises(ValueError, match="tilt=0 is refused"):
        tilted["TiltedConfig"]("unused", tilt=0)


@pytest.mark.parametrize(("number", "file"), [(0, "tilted.py"), (2, "decoupled.py")])
def test_the_worked_algorithms_are_the_files_that_are_tested(number, file):
    text = snippets(ALGORITHM, "python")[number].text
    assert text.startswith("from __future__")
    assert (ROOT / "tests" / "algorithms" / file).read_text(encoding="utf-8").endswith(text)


@pytest.mark.parametrize(
    ("name", "options"), [("tilted-erm", {"tilt": 2.0}), ("spectral-decoupling", {})], ids=["tilted", "decoupled"]
)
def test_the_worked_algorithms_leave_the_gradients_of_their_formulas(name, options, tilted, tmp_path):
    trainer_class, config_class = ALGORITHMS[name]
    model, data = model_and_data("bert", environments=3)
    model.eval()
    trainer = trainer_class(model, arguments(tmp_path, config_class, **options), train_dataset=data)
    batches = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    assert len(batches) == 3
    trainer.accumulate_gradient(model, {e: [batch] for e, batch in batches.items()})
    found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    outputs = [model(**batch) for batch in batches.values()]
    risks = torch.stack([o.loss for o in outputs])
    if name == "tilted-erm":
        objective = torch.exp(2.0 * risks).mean().log() / 2.0
    else:
        objective = (risks + torch.stack([0.05 * o.logits.square().sum(1).mean() for o in outputs])).mean()
    objective.backward()
    expected = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(found) == len(expected) > 0
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
