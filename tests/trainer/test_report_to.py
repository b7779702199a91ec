"""What TensorBoard, Weights & Biases and trackio are sent: the same figures under the same names."""

from __future__ import annotations

from types import SimpleNamespace

from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback

from hf_metairm import MetaIRMTrainer

from .toys import Classifier, arguments, numbers


NAMES = ["p=0.1", "São Paulo/ward 2"]


class Sent(TrainerCallback):
    """Passes every log on to the integrations' own code, behind which a recorder stands for the service."""

    def __init__(self):
        self.figures = {"tensorboard": {}, "wandb": {}, "trackio": {}}
        board, wandb, trackio = (c.__new__(c) for c in (TensorBoardCallback, WandbCallback, TrackioCallback))
        put = self.figures["tensorboard"].__setitem__
        board.tb_writer = SimpleNamespace(add_scalar=lambda name, value, step: put(name, value), flush=lambda: None)
        wandb._wandb = SimpleNamespace(log=self.figures["wandb"].update, run=SimpleNamespace(summary={}))
        trackio._trackio = SimpleNamespace(log=self.figures["trackio"].update)
        wandb._initialized = trackio._initialized = True
        self._integrations = [board, wandb, trackio]

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "train_runtime" not in logs:  # the run's summary, which each service keeps elsewhere
            for integration in self._integrations:
                integration.on_log(args, state, control, logs=dict(logs))


def test_every_service_gets_the_same_figures_under_the_same_names(tmp_path):
    data = numbers()
    data = data.remove_columns("environment").add_column("environment", [NAMES[k % 2] for k in range(len(data))])
    sent = Sent()
    args = arguments(tmp_path, logging_strategy="steps", logging_steps=1)
    trainer = MetaIRMTrainer(Classifier(tied=False), args, train_dataset=data, eval_dataset=data, callbacks=[sent])
    trainer.train()
    trainer.evaluate()
    board, wandb, trackio = sent.figures.values()
    for figures in (wandb, trackio):
        assert figures.pop("train/global_step") == 3
    assert board == wandb == trackio
    expected = {"train/loss", "train/meta_loss_mean", "train/meta_loss_std", "eval/worst_environment_accuracy"}
    expected |= {f"train/risk_{name}" for name in NAMES} | {f"eval/{name}_accuracy" for name in NAMES}
    assert expected <= board.keys()
