"""What stands on the terminal while training, and in a file in its place."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMTrainer
from hf_metairm.trainer.progress import EnvironmentProgress, accuracies
from hf_metairm.trainer.progress_view import Snapshot, line, table

from .toys import Classifier, arguments, numbers


LOGGED = {"logging_strategy": "steps", "logging_steps": 2, "eval_strategy": "steps", "eval_steps": 4, "max_steps": 4}


def trainer(folder, console=None, rows=None, callbacks=(), **options):
    rows = rows or numbers()
    args = arguments(folder, disable_tqdm=False, **{**LOGGED, **options})
    made = MetaIRMTrainer(Classifier(), args, train_dataset=rows, eval_dataset=numbers(3), callbacks=list(callbacks))
    if console is not None:
        made.remove_callback(ProgressCallback)
        made.add_callback(EnvironmentProgress(console))
    return made


def console(terminal, width=90, height=30):
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=height)


def text_of(console):
    return Text.from_ansi(console.file.getvalue()).plain


def test_plain_lines_where_there_is_no_terminal(tmp_path):
    out = console(terminal=False)
    made = trainer(tmp_path, out)
    made.train()
    lines = text_of(out).splitlines()
    assert [text.split("  ")[0] for text in lines] == ["step 2/4", "step 4/4", "step 4/4"]
    logged = [entry for entry in made.state.log_history if "loss" in entry]
    for text, entry in zip(lines, logged):
        for words in (
            f"loss {entry['loss']:.4g}",
            f"risk a {entry['risk_a']:.4g}",
            f"risk b {entry['risk_b']:.4g}",
            f"σ of the meta-losses {entry['meta_loss_std']:.4g}",
            "time left 0:00:0",
        ):
            assert words in text
    worst = made.state.log_history[-2]["eval_worst_environment_accuracy"]
    assert f"worst accuracy {100 * worst:.1f} % in " in lines[2]


def test_the_table_on_a_terminal_ends_with_what_was_logged_last(tmp_path):
    out = console(terminal=True)
    made = trainer(tmp_path, out)
    made.train()
    assert "\x1b[?25h" in out.file.getvalue(), "the cursor is back"
    last = text_of(out)[text_of(out).rindex("step 4 of 4") :]
    logged = next(entry for entry in reversed(made.state.log_history) if "loss" in entry)
    evaluated = next(entry for entry in reversed(made.state.log_history) if "eval_loss" in entry)
    lines = [text.replace("│", " | ").split() for text in last.splitlines()]
    rows = {cells[1]: cells[2:] for cells in lines if len(cells) > 3}
    for name in "ab":
        assert f"{logged[f'risk_{name}']:.4f}" in rows[name]
    for name in "abc":
        assert f"{100 * evaluated[f'eval_{name}_accuracy']:.1f}" in rows[name]
    assert f"σ of the meta-losses {logged['meta_loss_std']:.4g}" in last
    assert f"worst accuracy {100 * evaluated['eval_worst_environment_accuracy']:.1f} %" in last


def test_the_terminal_is_let_go_of_after_an_error(tmp_path):
    class Fail(TrainerCallback):
        def on_step_end(self, *args, **kwargs):
            raise RuntimeError("the disk is full")

    out = console(terminal=True)
    made = trainer(tmp_path, out, callbacks=[Fail()])
    with pytest.raises(RuntimeError, match="disk"):
        made.train()
    assert out.file.getvalue().count("\x1b[?25l") == out.file.getvalue().count("\x1b[?25h") == 1


def test_other_processes_say_nothing(tmp_path, monkeypatch):
    out = console(terminal=True)
    made = trainer(tmp_path, out, eval_strategy="no")
    monkeypatch.setattr(type(made), "is_world_process_zero", lambda self: False)
    made.train()
    assert made.state.global_step == 4
    assert out.file.getvalue() == ""


def kinds(trainer):
    wanted = (ProgressCallback, PrinterCallback)
    return [type(c) for c in trainer.callback_handler.callbacks if isinstance(c, wanted)]


def test_it_takes_the_place_of_the_bar_and_of_nothing_else(tmp_path):
    class Own(ProgressCallback):
        pass

    args, rows = arguments(tmp_path, EnvironmentConfig), numbers()
    assert kinds(trainer(tmp_path)) == [EnvironmentProgress]
    assert kinds(EnvironmentTrainer(Classifier(), args, train_dataset=rows)) == [PrinterCallback], "disable_tqdm"
    assert EnvironmentProgress not in kinds(trainer(tmp_path, callbacks=[Own]))
    without = trainer(tmp_path)
    without.remove_callback(ProgressCallback)
    assert kinds(without) == []


@pytest.mark.parametrize(("environments", "height"), [(2, 24), (8, 24), (20, 24), (20, 40), (20, 8)])
@pytest.mark.parametrize("width", [50, 120])
def test_the_table_fits_the_terminal(environments, height, width):
    names = [f"[bold]hospital of a very long name number {k}\n" for k in range(environments)]
    shown = Snapshot(
        step=30, steps=100, started=0.0, loss=2.0, gradient_norm=1.0, sigma=0.1, sigma_of="meta-losses",
        risks={name: k / 10 for k, name in enumerate(names)},
        accuracies={name: 0.9 - k / 100 for k, name in enumerate(names)}, evaluated_at=20,
    )  # fmt: skip
    out = console(terminal=False, width=width, height=height)
    out.print(table(shown, height))
    lines = text_of(out).splitlines()
    assert len(lines) <= max(height, 10)
    assert max(map(len, lines)) <= width
    rows = [text for text in lines if text.startswith("│ [bold]hosp")]
    assert len(rows) == (environments if environments <= height - 9 else max(height - 9, 3) - 1)
    assert f" {(environments - 1) / 10:.4f} " in rows[-1], "the highest risk is always shown"
    assert len(line(shown)) < 400


def test_accuracies_of_several_datasets():
    metrics = {
        "eval_first_a_accuracy": 0.5, "eval_first_p=0.9_accuracy": 0.25, "eval_first_accuracy": 0.4, "eval_loss": 1.0,
        "eval_first_worst_environment_accuracy": 0.25, "eval_first_mean_environment_accuracy": 0.375,
    }  # fmt: skip
    assert accuracies(metrics) == {"first/a": 0.5, "first/p=0.9": 0.25}
    assert accuracies({"eval_loss": 1.0}) == {}
