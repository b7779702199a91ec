from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hf_metairm.cli import app, main

from ..faults import in_a_fork


def test_help_names_every_command():
    output = CliRunner().invoke(app, ["--help"]).output
    for command in ("train", "inspect", "infer-environments", "build-dataset", "env"):
        assert command in output


def test_completion_for_the_shell():
    code = "from hf_metairm.cli import app; app(prog_name='hf-metairm')"
    shell = {"_HF_METAIRM_COMPLETE": "complete_bash", "COMP_WORDS": "hf-metairm re", "COMP_CWORD": "1"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **shell})
    assert found.stdout.split() == ["reproduce", "report"]


def test_env_lists_versions():
    found = json.loads(CliRunner().invoke(app, ["env", "--json"]).output)
    assert found["torch"].startswith("2.")
    assert found["hf_metairm"] == "0.1.0"


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "There is no settings file"), ("recipe: cook", "There is no recipe 'cook'"), ("words", "cannot be read")],
)
def test_train_refuses_settings_it_cannot_use(text, message, tmp_path):
    file = tmp_path / "job.yaml"
    if text is not None:
        file.write_text(text)
    result = CliRunner().invoke(app, ["train", "--config", str(file)])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Say what to train on"),
        (["--text_column", "text"], "Say what to train on"),
        (["--recipe", "cook"], "There is no recipe 'cook'"),
        (["--dataset", "reviews.csv", "--num_processes", "0"], "--num_processes 0"),
        (["--dataset", "reviews.csv", "--accelerate_config", "nowhere.yaml"], "there is no such file"),
    ],
)
def test_train_without_a_settings_file_says_what_it_lacks(words, message):
    result = CliRunner().invoke(app, ["train", *words])
    assert result.exit_code == 2
    assert message in result.stderr


SETTINGS = """
recipe: train_colored_mnist
source: bundled
hidden_size: 16
per_device_train_batch_size: 200
per_device_eval_batch_size: 5000
max_steps: 2
report_to: none
use_cpu: true
dataloader_pin_memory: false
"""


def test_train_launches_the_job_and_overrides_its_settings(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(SETTINGS)
    out = tmp_path / "out"
    options = ["--config", str(file), "--output_dir", str(out), "--num_processes", "1"]

    def start():
        sys.argv = [
            "hf-metairm",
            "train",
            *options,
            "--algorithms",
            "meta-irm",
            "--std_loss_weight",
            "5",
            "--seeds",
            "3",
        ]
        main()

    log = tmp_path / "log"
    assert in_a_fork(start, log) == 0, log.read_text()
    result = json.loads((out / "results.json").read_text())[0]
    assert result["steps"] == 2
    assert result["settings"]["std_loss_weight"] == 5
    assert result["seed"] == 3
    assert set(result["test"]) == {f"p=0.{k}" for k in range(1, 10)}
    assert "p=0.9" in log.read_text()

    wrong = CliRunner().invoke(app, ["train", *options, "--inner_stepps", "3"])
    assert wrong.exit_code == 2
    assert "did you mean 'inner_steps'" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["reproduce", "colored"], "There is no table 'colored'; there are colored_mnist"),
        (["reproduce", "k5", "--algorithms", "ERM"], "No row of k5 is of ERM; there are erm, "),
        (["reproduce", "--batch_size", "many"], "give a number of rows, or 'full'"),
        (["reproduce", "--device", "tpu"], "give cpu or cuda"),
        (["reproduce", "--word_vectors", "nowhere.txt"], "there is no such file"),
        (["search", "k5", "--algorithms", "group-dro"], "no algorithm to search among group-dro"),
        (["search", "punctuated_sst2_encoder"], "hf-metairm tune punctuated_sst2 --dataset_config long_clean"),
        (["report", "--results", "nowhere"], "nowhere"),
        (["build-dataset", "mnist"], "There is no dataset 'mnist'"),
        (["inspect", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.output
    assert signal.getsignal(signal.SIGTERM) is before
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    assert sentence in line


def test_env_names_devices_and_what_is_optional():
    found = json.loads(CliRunner().invoke(app, ["env", "--json"]).stdout)
    assert found["cores"] == str(os.cpu_count())
    assert found["wandb"]
    assert found["GPUs"]
