"""Every command of the pages means something: programs, subcommands, options, settings, targets and files exist."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
from pathlib import Path

import pytest
import typer.main
from accelerate.commands.launch import launch_command_parser
from huggingface_hub.cli.hf import app as hf
from packaging.requirements import Requirement
from transformers import HfArgumentParser

from hf_metairm.cli import app
from hf_metairm.experiments.comparison import ComparisonArguments
from hf_metairm.experiments.config_files import find_config
from hf_metairm.experiments.settings import read_settings
from hf_metairm.provenance import __version__
from hf_metairm.trainer import ALGORITHMS
from hf_metairm.tuning.tune import read_tune_settings

from .pages import PAGES, ROOT, commands, header, name_of


def check(words: list[str]) -> None:
    """Raise for a command that its program would refuse."""
    program, rest = words[0], words[1:]
    CHECKS[program](rest)


def check_own(words: list[str]) -> None:
    if words == ["--help"]:
        return
    command = typer.main.get_command(app).commands[words[0]]
    if len(words) == 1:  # a command that is spoken of, or one without arguments
        return
    with command.make_context(words[0], words[1:]) as context:
        if words[0] == "tune":
            read_tune_settings(["--dataset", context.params["dataset"], *context.args])
        if words[0] == "train":
            config = context.params["config"]
            text = find_config(config).read_text(encoding="utf-8") if config else ""
            recipe = re.search(r"^recipe: (\w+)", text, re.MULTILINE)
            check_settings(recipe[1] if recipe else "finetune_text", config, context.args)


def check_hub(words: list[str]) -> None:
    name, command, rest = hf.resolve_command(hf.make_context("hf", words, resilient_parsing=True), words)
    command.make_context(name, rest)


def check_launch(words: list[str]) -> None:
    assert words[0] == "launch"
    job = launch_command_parser().parse_args(words[1:])
    assert job.config_file is None or (ROOT / job.config_file).is_file(), job.config_file
    script = ROOT / job.training_script
    assert script.is_file(), script
    if job.training_script_args:
        check_options(script, job.training_script_args)


def check_options(script: Path, words: list[str]) -> None:
    arguments = runpy.run_path(str(script), run_name="not main")["ScriptArguments"]
    chosen = HfArgumentParser(arguments).parse_known_args(words)[0].algorithm
    parser = HfArgumentParser((arguments, ALGORITHMS[chosen][1]))
    parser.parse_args_into_dataclasses(args=[*words, "--output_dir", "unused"])


def check_uv(words: list[str]) -> None:
    assert words[0] == "run"
    if len(words) == 1:  # spoken of
        return
    words = words[3:] if words[1] == "--with" else words[1:]
    script = ROOT / words[0]
    assert header(script), f"{words[0]} does not say what it needs"
    if words[1:]:
        check_options(script, words[1:])


def check_settings(recipe: str, config, words: list[str]) -> None:
    module = importlib.import_module(f"hf_metairm.experiments.{recipe}")
    (arguments,) = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, ComparisonArguments) and kind is not ComparisonArguments
    ]
    read_settings(arguments, [*(["--config", str(config)] if config else []), *words])


def check_make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in words:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for word in words[1:]:
        if word.endswith(".whl"):
            assert word == f"hf_metairm-{__version__}-py3-none-any.whl"
            continue
        requirement = Requirement(re.sub(r"^\.(?=$|\[)", "hf_metairm", word))  # "." is the checkout
        if requirement.name == "hf_metairm":
            assert word != "hf_metairm", "it is on no registry yet: an extra can be added to what is installed"
            for extra in requirement.extras:
                assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def check_script(words: list[str]) -> None:
    source = (ROOT / words[0]).read_text(encoding="utf-8")
    for word in words[1:]:
        assert not word.startswith("-") or f'"{word}"' in source, f"{words[0]} has no option {word}"


CHECKS = {
    "hf": check_hub,
    "hf-metairm": check_own,
    "accelerate": check_launch,
    "make": check_make,
    "pip": check_pip,
    "python": check_script,
    "uv": check_uv,
}


@pytest.mark.parametrize("page", [p for p in PAGES if any(commands(p))], ids=name_of)
def test_commands(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for words in commands(page):
        try:
            check(words)
        except (Exception, SystemExit) as error:
            pytest.fail(f"{name_of(page)}: {shlex.join(words)}: {type(error).__name__}: {error}")


@pytest.mark.parametrize(
    "wrong",
    [
        "hf-metairm inspekt reviews.csv",
        "hf-metairm inspect reviews.csv --environment site",
        "hf-metairm train --config punctuated_sst2 --inner_step 3",
        "accelerate launch trainer_examples/finetune_text.py --algorithm irmv9",
        "accelerate launch trainer_examples/finetune_text.py --maxx_steps 3",
        "hf-metairm train --dataset reviews.csv --datasett reviews.csv",
        "hf-metairm tune reviews.csv --environment_colum site",
        "hf-metairm tune reviews.csv --trials 0",
        "accelerate launch trainer_examples/finetune.py",
        "make dinner",
        "pip install '.[demos]'",
        "pip install hf_metairm",
        "pip install hf_metairm-0.0.1-py3-none-any.whl",
        "python benchmarks/meta_step.py --peers",
        "uv run trainer_examples/finetune_text.py --maxx_steps 3",
        "uv run trainer_examples/finetune.py",
        "uv run benchmarks/meta_step.py",
        "hf upload you/reviews outputs --privat",
        "hf upstairs you/reviews outputs",
        "rm reviews.csv",
    ],
)
def test_a_wrong_command_is_found(wrong, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises((Exception, SystemExit)):
        check(shlex.split(wrong))
