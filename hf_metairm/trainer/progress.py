"""Training as it goes: a live table of the environments on a terminal, plain lines elsewhere."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.live import Live
from transformers import PrinterCallback, ProgressCallback
from transformers.trainer_utils import has_length

from ..metrics import metric_named
from .progress_streams import printing_above
from .progress_view import Snapshot, evaluation_lines, line, table


class EnvironmentProgress(ProgressCallback):
    """
    Shows the step, each environment's risk, σ, the results of the last evaluation and the time left.

    On a terminal that is one table, drawn anew in its place; elsewhere one line for each logging and evaluation. Both
    go to stderr, from the first process alone. `trainer.remove_callback(ProgressCallback)` takes it away.

    Args:
        trainer ([`EnvironmentTrainer`]): whose results are shown.
        console (`rich.console.Console`, *optional*): where to draw; one on stderr by default.
    """

    def __init__(self, trainer: Any, console: Console | None = None):
        super().__init__()
        self.trainer = trainer
        self.console = Console(stderr=True) if console is None else console
        self.snapshot = Snapshot()
        self._live: Live | None = None
        self._terminal = ExitStack()
        self._training = False
        self._evaluated_at: int | None = None
        self._loader: Any = None

    @property
    def is_drawn(self) -> bool:
        """Whether there is a terminal that lines can be drawn anew on."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Draw the table."""
        if not state.is_world_process_zero:
            return
        self._training, self._evaluated_at = True, None
        self.snapshot = Snapshot(
            step=state.global_step, first_step=state.global_step, steps=state.max_steps, started=time.monotonic()
        )
        if self.is_drawn:
            self._live = Live(
                get_renderable=lambda: table(self.snapshot, self.console.height, self.console.width),
                console=self.console,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._terminal.enter_context(printing_above(self.console))
            self._terminal.enter_context(self._live)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count."""
        self.snapshot.step = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Take what stands beside a training loss."""
        if not self._training or not logs or "loss" not in logs:
            return
        shown = self.snapshot
        shown.risks = {key.removeprefix("risk_"): value for key, value in logs.items() if key.startswith("risk_")}
        shown.loss, shown.gradient_norm = logs["loss"], logs.get("grad_norm")
        shown.sigma_of = "meta-losses" if "meta_loss_std" in logs else "risks"
        shown.sigma = logs.get("meta_loss_std")
        if shown.sigma is None and shown.risks:
            shown.sigma = statistics.pstdev(shown.risks.values())
        self._say(line(shown))

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        """Take the results."""
        super().on_evaluate(args, state, control, **kwargs)
        self._loader = None
        if not self._training:
            return
        shown = self.snapshot
        shown.evaluating = None
        if self._evaluated_at != state.global_step:  # else it is one of several evaluation datasets
            shown.results, shown.unseen = {}, set()
        self._evaluated_at = shown.evaluated_at = state.global_step
        if self._take_results(metrics or {}):
            self._say(evaluation_lines(shown))

    def _take_results(self, metrics: dict[str, float]) -> bool:
        shown, trained = self.snapshot, getattr(self.trainer.environments, "names", ())
        found = [r for r in self.trainer.found if r.environment is not None and r.numbers]
        for result in found:
            dataset = result.dataset or _dataset_of(metrics)
            name = f"{dataset}/{result.environment}" if dataset else result.environment
            shown.metric = metric_named(next(iter(result.numbers)))
            shown.results[name] = result.numbers[shown.metric.name]
            if trained and result.environment not in trained:
                shown.unseen.add(name)
        return bool(found)

    def on_prediction_step(
        self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **kwargs: Any
    ) -> None:
        """
        Count batches: in the table during training, in a bar of their own outside it. Every environment has its own
        DataLoader, so the total grows.
        """
        more = len(eval_dataloader) if eval_dataloader is not self._loader and has_length(eval_dataloader) else 0
        self._loader = eval_dataloader
        if self._training:
            done, total = self.snapshot.evaluating or (0, 0)
            self.snapshot.evaluating = (done + 1, total + more)
        elif self.is_drawn:
            if self.prediction_bar is not None and self.prediction_bar.total is not None:
                self.prediction_bar.total += more
            super().on_prediction_step(args, state, control, eval_dataloader=eval_dataloader, **kwargs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the last table where it stands."""
        self.close()

    def close(self) -> None:
        """Let go of the terminal, also where training ended in an error."""
        self._training = False
        self._live = None
        self._terminal.close()

    def _say(self, text: str) -> None:
        if self._live is None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _dataset_of(metrics: dict[str, float]) -> str:
    """The name of one of several evaluation datasets, from the shortest of the keys that every evaluation reports."""
    key = min((k for k in metrics if k.endswith("_runtime")), key=len, default="")
    return key.removeprefix("eval").removesuffix("_runtime").removeprefix("_")


def install_progress(trainer: Any, own_callbacks: Any = None) -> None:
    """
    Put [`EnvironmentProgress`] in the place of transformers' progress bar, unless there is none (`disable_tqdm`), it
    is that of a notebook, or the user has brought one along.
    """
    brought = [c if isinstance(c, type) else type(c) for c in own_callbacks or ()]
    present = [type(c) for c in trainer.callback_handler.callbacks]
    if ProgressCallback in present and not any(issubclass(c, (ProgressCallback, PrinterCallback)) for c in brought):
        trainer.remove_callback(ProgressCallback)
        trainer.add_callback(EnvironmentProgress(trainer))


def close_progress(trainer: Any) -> None:
    """Have the table let go of the terminal, if there is one."""
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, EnvironmentProgress):
            callback.close()
