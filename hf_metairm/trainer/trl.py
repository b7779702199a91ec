"""
Meta-IRM on the Trainers of `trl`: supervised fine-tuning, reward models, direct preference optimization.

Each stands in front of `trl`'s own Trainer, whose data preparation, loss, adapters and reference model it keeps.
[`OnTRL`] holds what had to be adapted, so that any algorithm can be put there in the same way.
"""

from __future__ import annotations

import functools
import importlib.util
import types
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer_utils import EvalLoopOutput

from ..algorithms.meta_irm import MetaIRMSettings
from ..cards.facts import CardDetails
from ..gradients import AUTO, choose_kind, is_elsewhere
from .algorithms import MetaIRMTrainer
from .settings import EnvironmentSettings


if importlib.util.find_spec("trl") is None:
    raise ImportError(
        "The Trainers for supervised fine-tuning, reward models and DPO stand on trl: pip install trl, or "
        "pip install 'hf_metairm[trl]'."
    )

from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput


# Of what trl notes in an evaluation, that which says how good the model is: means over what the loss is a mean over,
# more is better in each of them. By trl's name of the Trainer.
QUALITIES = {
    "SFT": ("mean_token_accuracy",),
    "Reward": ("accuracy", "margin"),
    "DPO": ("rewards/accuracies", "rewards/margins"),
}


class TRLSettings(EnvironmentSettings):
    """[`EnvironmentSettings`] for a Config of `trl`, of which some fields are refused."""

    def check_settings(self) -> None:
        """Raise `ValueError` for a value that a field cannot take."""
        super().check_settings()
        if getattr(self, "packing", False) or getattr(self, "eval_packing", False):
            raise ValueError(
                "packing=True is refused: it joins rows of several environments into one sequence. Leave it False; "
                "padding_free=True packs each environment's rows by themselves."
            )
        if getattr(self, "activation_offloading", False):
            raise ValueError(
                "activation_offloading=True is refused: its hooks do not reach the several backward passes of one "
                "step. Use gradient_checkpointing=True."
            )


class OnTRL(Trainer):
    """
    What stands between an environment Trainer and one of `trl`: `class RExSFTTrainer(RExTrainer, OnTRL, SFTTrainer)`,
    with `class RExSFTConfig(TRLSettings, RExSettings, SFTConfig)`.

    The metrics that `trl` notes in its loss are kept from one evaluation of each micro-batch at θ, where a step
    evaluates several times, at θ' too. In an evaluation they are noted for each environment.
    """

    args: Any
    risk: Any
    card_details: CardDetails
    _metrics: dict[str, Any]
    _total_train_tokens: int
    _name: str
    _tag_names: list[str]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.card_details.tags = list(self._tag_names)
        self.default_metric = False  # Accuracy over classes; trl notes its own.
        self._noted: tuple[int, set[int]] = (-1, set())
        self._weights: list[float] = []
        if isinstance(self, (SFTTrainer, DPOTrainer)):
            model: Any = self.model
            score_from_logits(model.get_base_model() if hasattr(model, "get_base_model") else model, self.args)
            reference = getattr(self, "ref_model", None)
            if reference is not None:
                score_from_logits(reference, self.args)

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """`trl`'s loss; what it notes beside is kept where it is the model's."""
        if self._is_to_be_noted(model, inputs):
            return super().compute_loss(model, inputs, *args, **kwargs)
        kept = self._metrics, self._total_train_tokens
        self._metrics = _no_metrics()
        try:
            return super().compute_loss(model, inputs, *args, **kwargs)
        finally:
            self._metrics, self._total_train_tokens = kept

    def _is_to_be_noted(self, model: nn.Module, inputs: dict[str, Any]) -> bool:
        rows = inputs["input_ids"]
        assert self.model is not None
        if not self.model.training:
            items = self.risk.items(inputs)
            items = torch.tensor(len(rows), device=rows.device) if items is None else items
            self._weights.append(float(self.accelerator.gather_for_metrics(items).sum()))
            return True
        if self._noted[0] != self.state.global_step:
            self._noted = (self.state.global_step, set())
        seen = self._noted[1]
        if is_elsewhere(model) or id(rows) in seen:
            return False
        seen.add(id(rows))
        return True

    # Evaluation

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """`trl`'s evaluation, without what was noted before it."""
        self._metrics["eval"].clear()
        return super().evaluate(*args, **kwargs)

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """The ordinary loop, of one environment's rows, with what `trl` notes of them among its metrics."""
        before, self._metrics["eval"], self._weights = self._metrics["eval"], defaultdict(list), []
        output = super().evaluation_loop(dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix)
        noted, self._metrics["eval"] = self._metrics["eval"], before
        assert output.metrics is not None
        for name, values in noted.items():
            if name in QUALITIES.get(self._name, ()) and len(values) == len(self._weights):
                mean = sum(v * w for v, w in zip(values, self._weights)) / sum(self._weights)
                output.metrics.setdefault(f"{metric_key_prefix}_{name}", mean)
            before[name] = values if name == "num_tokens" else before[name] + values
        return output

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # Not by way of trl, which writes a card first: ours takes an evaluation and is written when it is asked for.
        Trainer._save_checkpoint(self, model, trial)


def _no_metrics() -> dict[str, Any]:
    return {"train": defaultdict(list), "eval": defaultdict(list)}


def score_from_logits(model: Any, settings: Any) -> None:
    """
    Have the log-probabilities of a model with `trl`'s fused head computed from its logits, where that head cannot be
    right: it writes its own backward pass, which has no second derivative, and computes in float32.
    """
    fused = model.forward
    fine = model.dtype == torch.float64

    @functools.wraps(type(model).forward)  # `generate` looks at the signature.
    def forward(self: Any, *args: Any, fused_lm_head: bool = False, **kwargs: Any) -> Any:
        if not (fused_lm_head and (fine or (torch.is_grad_enabled() and _takes_second_derivatives(model, settings)))):
            return fused(*args, fused_lm_head=fused_lm_head, **kwargs)
        labels, shifted = kwargs.pop("labels", None), kwargs.pop("shift_labels", None)
        items = kwargs.pop("num_items_in_batch", None)
        outputs = fused(*args, **kwargs)
        logits = outputs.logits if shifted is not None else outputs.logits[:, :-1]
        scored = _scored(logits, labels[:, 1:] if shifted is None else shifted)
        scored.loss = -scored.log_probs.sum() / (scored.label_mask.sum().clamp(min=1) if items is None else items)
        scored.aux_loss = getattr(outputs, "aux_loss", None)
        return scored

    model.forward = types.MethodType(forward, model)


def _takes_second_derivatives(model: Any, settings: Any) -> bool:
    kind = getattr(settings, "meta_gradient", None)
    if kind == AUTO:
        kind = choose_kind(model, settings.inner_learning_rate, settings.inner_steps, settings.same_environment).kind
    return kind == "exact"


def _scored(logits: Tensor, labels: Tensor) -> Any:
    """What the fused head gives, zero where the label is −100; only the log-probabilities have a gradient."""
    mask, targets = labels != -100, labels.clamp(min=0)
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    fields = {"log_probs": scores.gather(-1, targets.unsqueeze(-1)).squeeze(-1)}
    with torch.no_grad():
        fields["entropy"] = torch.special.entr(scores.exp()).sum(-1)
        fields["log_sum_sq_probs"] = (2 * scores).logsumexp(-1)
        fields["mean_logits"] = logits.mean(-1)
        fields["is_top1"] = scores.argmax(-1) == targets
    return FusedCausalLMOutput(label_mask=mask, **{k: v.masked_fill(~mask, 0) for k, v in fields.items()})


@dataclass
class MetaIRMSFTConfig(TRLSettings, MetaIRMSettings, SFTConfig):
    """Arguments of [`MetaIRMSFTTrainer`]: `trl.SFTConfig` and those of [`MetaIRMConfig`]."""


@dataclass
class MetaIRMRewardConfig(TRLSettings, MetaIRMSettings, RewardConfig):
    """Arguments of [`MetaIRMRewardTrainer`]: `trl.RewardConfig` and those of [`MetaIRMConfig`]."""


@dataclass
class MetaIRMDPOConfig(TRLSettings, MetaIRMSettings, DPOConfig):
    """Arguments of [`MetaIRMDPOTrainer`]: `trl.DPOConfig` and those of [`MetaIRMConfig`]."""


class MetaIRMSFTTrainer(MetaIRMTrainer, OnTRL, SFTTrainer):
    """
    [`MetaIRMTrainer`] for supervised fine-tuning: takes what `trl.SFTTrainer` takes, `args` is a
    [`MetaIRMSFTConfig`], and the dataset has an environment column. R_e is the mean loss over the labelled tokens of
    environment e.
    """

    config_class = MetaIRMSFTConfig


class MetaIRMRewardTrainer(MetaIRMTrainer, OnTRL, RewardTrainer):
    """
    [`MetaIRMTrainer`] for reward models: takes what `trl.RewardTrainer` takes, `args` is a [`MetaIRMRewardConfig`],
    and the dataset has an environment column. R_e is the mean loss over the pairs of environment e.
    """

    config_class = MetaIRMRewardConfig


class MetaIRMDPOTrainer(MetaIRMTrainer, OnTRL, DPOTrainer):
    """
    [`MetaIRMTrainer`] for direct preference optimization: takes what `trl.DPOTrainer` takes, `args` is a
    [`MetaIRMDPOConfig`], and the dataset has an environment column. R_e is the mean loss over the pairs of
    environment e.
    """

    config_class = MetaIRMDPOConfig
