"""What stands on the terminal while training, and in a file in its place."""

from __future__ import annotations

import io
import logging
import re
import sys

import pytest
from rich.console import Console
from rich.text import Text
from tqdm import tqdm
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMTrainer
from hf_metairm.metrics import metric_named
from hf_metairm.trainer.progress import EnvironmentProgress
from hf_metairm.trainer.progress_view import Snapshot, evaluation_lines, line, table

from .toys import Classifier, arguments, numbers


LOGGED = {"logging_strategy": "steps", "logging_steps": 2, "eval_strategy": "steps", "eval_steps": 4, "max_steps": 4}


def trainer(folder, console=None, rows=None, callbacks=(), **options):
    rows = rows or numbers()
    args = arguments(folder, disable_tqdm=False, **{**LOGGED, **options})
    made = MetaIRMTrainer(Classifier(), args, train_dataset=rows, eval_dataset=numbers(3), callbacks=list(callbacks))
    if console is not None:
        made.remove_callback(ProgressCallback)
        made.add_callback(EnvironmentProgress(made, console))
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
        metric=metric_named("accuracy"), results={name: 0.9 - k / 100 for k, name in enumerate(names)},
        evaluated_at=20,
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


def evaluated(folder, names, datasets=("",), **options):
    """The snapshot after an evaluation on environments of these names, of which the first two are trained on."""
    data = numbers(len(names)).map(lambda row: {"environment": names[ord(row["environment"]) - ord("a")]})
    train = data.filter(lambda row: row["environment"] in names[:2])
    args = arguments(folder, disable_tqdm=False, max_steps=1, eval_strategy="steps", eval_steps=1)
    parts = dict.fromkeys(datasets, data) if len(datasets) > 1 else data
    made = MetaIRMTrainer(Classifier(), args, train_dataset=train, eval_dataset=parts, **options)
    out = console(terminal=False)
    made.remove_callback(ProgressCallback)
    made.add_callback(EnvironmentProgress(made, out))
    made.train()
    (callback,) = [c for c in made.callback_handler.callbacks if isinstance(c, EnvironmentProgress)]
    return made, callback.snapshot, text_of(out)


def test_results_are_found_by_what_they_are_and_not_by_what_keys_look_like(tmp_path):
    names = ["eval", "test", "worst_environment", "mean_environment_accuracy", "p=0.9_accuracy", "x_runtime"]
    made, shown, _ = evaluated(tmp_path, names)
    results = {r.environment: r.metrics["accuracy"] for r in made.results}
    assert set(results) == set(names)
    assert shown.results == results
    assert shown.unseen == set(names[2:])


def test_results_of_several_datasets(tmp_path):
    made, shown, text = evaluated(tmp_path, ["a", "b", "p=0.9"], datasets=("first", "second_one"))
    assert set(shown.results) == {f"{d}/{e}" for d in ("first", "second_one") for e in ("a", "b", "p=0.9")}
    assert shown.results == {f"{r.dataset}/{r.environment}": r.metrics["accuracy"] for r in made.results}
    assert shown.unseen == {"first/p=0.9", "second_one/p=0.9"}
    assert "first/p=0.9 (unseen) " in text


def test_unseen_sites_are_marked_and_many_or_long_names_get_a_row_each():
    metric = metric_named("mae")
    few = Snapshot(step=1, steps=2, metric=metric, results={"rome": 0.25, "oslo": 3.5}, unseen={"oslo"})
    assert evaluation_lines(few) == (
        "step 1/2  evaluation: worst mae 3.5 in oslo (unseen), mean 1.875  rome 0.25  oslo (unseen) 3.5"
    )
    names = ["the hospital of the saints of a", "the hospital of the saints of b", "c"]
    long = Snapshot(metric=metric, results={name: float(k) for k, name in enumerate(names)})
    lines = evaluation_lines(long).splitlines()
    assert lines[1:] == [f"  {name:31}  {value:g}" for name, value in long.results.items()]
    out = console(terminal=False, width=90)
    few.risks = {"rome": 0.125}
    out.print(table(few, 24, 90))
    rows = {words[1]: words for words in (row.split() for row in text_of(out).splitlines()) if len(words) > 3}
    assert rows["oslo"] == ["│", "oslo", "(unseen)", "│", "│", "3.5", "←", "│"]
    assert "(unseen)" not in rows["rome"]
    assert "0.25" in rows["rome"]


def test_batches_of_all_environments_are_counted(tmp_path):
    counts, bars = [], []

    class Watch(TrainerCallback):
        def on_prediction_step(self, args, state, control, **kwargs):
            (callback,) = [c for c in made.callback_handler.callbacks if isinstance(c, EnvironmentProgress)]
            counts.append(callback.snapshot.evaluating)
            bars.append(callback.prediction_bar and (callback.prediction_bar.n, callback.prediction_bar.total))

    out = console(terminal=True)
    made = trainer(tmp_path, out, max_steps=1, eval_steps=1, per_device_eval_batch_size=8)
    made.add_callback(Watch())
    made.train()
    assert counts == [(k + 1, 3 * (k // 3 + 1)) for k in range(9)], "3 environments of 24 rows"
    made.evaluate()
    assert bars[9:] == [(k + 1, 3 * (k // 3 + 1)) for k in range(9)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_and_messages_of_others_do_not_break_the_table(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    handler = logging.StreamHandler(terminal)
    logger = logging.getLogger("somebody.else")
    monkeypatch.setattr(logger, "handlers", [handler])

    class Other(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            for _ in tqdm(range(5), desc=f"downloading {state.global_step}", mininterval=0, file=sys.stderr):
                pass
            logger.warning("mind the gap %d", state.global_step)
            print("half a line", end="", file=sys.stderr)
            print(" and the rest", file=sys.stderr)

    made = trainer(tmp_path, Console(force_terminal=True, stderr=True, width=100, height=40), callbacks=[Other()])
    made.train()
    assert sys.stderr is terminal
    assert handler.stream is terminal
    seen = Screen(terminal.getvalue()).lines
    for k in range(1, 5):
        (bar,) = [row for row in seen if f"downloading {k}" in row]
        assert "5/5" in bar
        assert [row.strip() for row in seen].count(f"mind the gap {k}") == 1
    assert seen.count("half a line and the rest") == 4
    assert sum("step 4 of 4" in row for row in seen) == 1, "one table, whole"
    assert sum(row.startswith("┏") for row in seen) == sum(row.startswith("└") for row in seen) == 1
    assert not [row for row in seen if "step 3 of 4" in row]


class Screen:
    """What a terminal shows after the codes that a live table uses: up, erase the line, return, line feed."""

    def __init__(self, written):
        self.lines, row, column = [""], 0, 0
        for code in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
            if code == "\n":
                row, column = row + 1, 0
                self.lines += [""] * (row + 1 - len(self.lines))
            elif code == "\r":
                column = 0
            elif code.startswith("\x1b"):
                if code.endswith("A"):
                    row -= int(code[2:-1] or 1)
                elif code.endswith("K"):
                    self.lines[row] = ""
            else:
                old = self.lines[row].ljust(column)
                self.lines[row] = old[:column] + code + old[column + len(code) :]
                column += len(code)
        self.lines = [text.rstrip() for text in self.lines]
