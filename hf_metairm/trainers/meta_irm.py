"""`MetaIRMTrainer`: adapt to one environment, judge on the others (Bae, Choi & Lee 2021)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..meta_gradient import StdLoss, meta_gradient, trainable_parameters
from .base import EnvironmentTrainer
from .configs import MetaIRMConfig, annealed_weight


RUNNING_MEANS_NAME = "meta_losses.json"


class MetaIRMTrainer(EnvironmentTrainer):
    """
    Meta-learned invariant risk minimization, the whole objective and its second-order gradient.

    Takes what `transformers.Trainer` takes; `args` is a [`MetaIRMConfig`]. Logged beside the loss and each
    environment's risk: `meta_loss_mean` and `meta_loss_std` (σ). The running means of the meta-losses
    (`std_loss_momentum`) are part of every checkpoint.

    Example:

    ```python
    trainer = MetaIRMTrainer(
        model=model,
        args=MetaIRMConfig("output", environment_column="hospital", per_device_train_batch_size=64),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    trainer.train()
    ```
    """

    args: MetaIRMConfig
    _tag_names = ("meta-irm", "invariant-risk-minimization", "hf-metairm", "out-of-distribution")
    _name = "meta-IRM"

    def __init__(self, model: Any = None, args: MetaIRMConfig | None = None, **kwargs: Any):
        args = MetaIRMConfig(output_dir="tmp_trainer") if args is None else args
        if not isinstance(args, MetaIRMConfig):
            raise ValueError(f"args is a {type(args).__name__}: MetaIRMTrainer takes a MetaIRMConfig.")
        super().__init__(model, args, **kwargs)
        self.std_loss = StdLoss(momentum=args.std_loss_momentum)

    def accumulate_gradient(self, model: nn.Module, batches: dict[int, list[dict[str, Any]]]) -> Tensor:
        """Leave the meta-gradient of `batches` in the parameters' `.grad` and return the objective."""
        args, step = self.args, self.state.global_step
        self.std_loss.weight, self.std_loss.divisor = annealed_weight(
            args.std_loss_weight, step, args.penalty_anneal_steps
        )
        result = meta_gradient(
            model,
            self.risk,
            batches,
            inner_learning_rate=args.inner_learning_rate,
            inner_steps=args.inner_steps,
            kind=args.meta_gradient,
            scheme=args.finite_difference_scheme,
            outer_environments=args.outer_environments,  # type: ignore[arg-type]
            same_environment=args.same_environment,
            std_loss=self.std_loss,
            # Drawn from the seed and the step alone: the same on every process, and after a resume.
            generator=torch.Generator().manual_seed(args.seed * 1_000_003 + step),
            loss_scale=self._loss_scale,
        )
        for parameter, gradient in zip(trainable_parameters(model), result.gradients):
            parameter.grad = gradient.mul_(self._loss_scale)
        self._log_risks(result.risks)
        self.log_with_loss("meta_loss_mean", torch.stack(list(result.meta_losses.values())).mean())
        self.log_with_loss("meta_loss_std", result.deviation)
        return result.objective + self._regularize(model, self.std_loss.divisor)

    # The running means belong to the optimizer's state: without them a resumed run is another run.

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save and self.args.std_loss_momentum > 0:
            Path(output_dir, RUNNING_MEANS_NAME).write_text(json.dumps(self.std_loss.state_dict()))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or self.args.std_loss_momentum == 0:
            return
        file = Path(checkpoint, RUNNING_MEANS_NAME)
        if not file.exists():
            raise ValueError(
                f"{checkpoint} holds no running means of the meta-losses ({RUNNING_MEANS_NAME}), which "
                "std_loss_momentum needs to go on: start anew, or resume with std_loss_momentum=0."
            )
        self.std_loss.load_state_dict(json.loads(file.read_text()))
