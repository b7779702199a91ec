"""What `docs/support.md` says of the Trainer: checkpointing, compilation, autocast, loss scaling, PEFT, DeepSpeed."""

from __future__ import annotations

from inspect import signature

import pytest
import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from transformers import TrainerCallback, TrainingArguments

from hf_metairm import EnvironmentConfig, EnvironmentTrainer, MetaIRMConfig, MetaIRMTrainer
from hf_metairm.gradients import meta_gradient
from hf_metairm.trainer.checks import check_setting

from ..gradients.models import bert_batches, bert_risk, small_bert
from ..gradients.reference import reference_gradient, relative_error
from .toys import arguments, sentences


KINDS = ("exact", "finite_difference", "crossed_difference", "first_order")
# The setting's names in the installed transformers: the first came late, the second goes in version 6.
NAMES = ("activation_checkpointing", "gradient_checkpointing")
CHECKPOINTING = [name for name in NAMES if hasattr(TrainingArguments, name)]


@pytest.fixture(autouse=True)
def _accelerate_as_it_was():
    """Mixed precision and compilation are states of the process, which the next test must not find."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState(cpu=True)


class FirstGradient(TrainerCallback):
    gradient = None

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if self.gradient is None:
            self.gradient = [p.grad.detach().clone().double() for p in model.parameters() if p.requires_grad]


def first_gradient(tmp_path, kind, model=None, **options):
    """The gradient that the first step gives the optimizer, and the Trainer."""
    keep = FirstGradient()
    model = small_bert(dropout=0.0) if model is None else model
    args = arguments(tmp_path, max_steps=2, meta_gradient=kind, **options)
    trainer = MetaIRMTrainer(model, args, train_dataset=sentences(), callbacks=[keep])
    trainer.train()
    return keep.gradient, trainer


@pytest.mark.parametrize("name", CHECKPOINTING)
def test_checkpointing_with_sdpa_equals_exact_without_them(name, tmp_path):
    expected, _ = first_gradient(tmp_path, "exact", small_bert(dropout=0.0, attention="eager"))
    model = small_bert(dropout=0.0)
    passes = 0

    def count(module, args):
        nonlocal passes
        passes += 1

    # Inside of the layer: its own hooks stay outside of the checkpoint.
    model.bert.encoder.layer[0].attention.register_forward_pre_hook(count)
    found, _ = first_gradient(tmp_path, "finite_difference", model, meta_gradient_check_steps=0, **{name: True})
    # 2 steps of 2 environments, each with an inner, an outer and a difference's gradient; and a look at each loss.
    assert passes == 2 * 2 * 3 * 2 + 2, "every layer is run a second time for its backward pass"
    assert relative_error(found, expected) < 2e-3
    expected, _ = first_gradient(tmp_path, "first_order", small_bert(dropout=0.0, attention="eager"))
    found, _ = first_gradient(tmp_path, "first_order", **{name: True})
    assert relative_error(found, expected) < 1e-5
    exact, _ = first_gradient(tmp_path, "exact", small_bert(dropout=0.0, attention="eager"))
    found, _ = first_gradient(tmp_path, "exact", **{name: True})
    assert relative_error(found, exact) < 1e-5


def test_exact_runs_through_a_checkpoint_wrapper():
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    found = []
    for wrapped in (False, True):
        model = small_bert(dropout=0.0).double()
        if wrapped:
            model.bert.encoder.layer[0] = checkpoint_wrapper(model.bert.encoder.layer[0])
        found.append(meta_gradient(model, bert_risk, bert_batches(2), kind="exact").gradients)
    assert relative_error(found[1], found[0]) < 1e-10


def test_checkpointing_with_lora(tmp_path):
    from peft import LoraConfig, get_peft_model

    def lora():
        torch.manual_seed(1)
        config = LoraConfig(r=2, target_modules=["query", "value"], task_type="SEQ_CLS")
        return get_peft_model(small_bert(dropout=0.0), config)

    expected, _ = first_gradient(tmp_path, "exact", lora())
    found, _ = first_gradient(tmp_path, "finite_difference", lora(), **{CHECKPOINTING[0]: True})
    assert relative_error(found, expected) < 2e-3


@pytest.mark.parametrize("kind", ["finite_difference", "crossed_difference", "first_order"])
def test_compilation_changes_nothing(kind, tmp_path):
    expected, _ = first_gradient(tmp_path, kind)
    found, trainer = first_gradient(tmp_path, kind, torch_compile=True, torch_compile_backend="aot_eager")
    assert hasattr(trainer.model_wrapped, "_orig_mod"), "the model really was compiled"
    assert relative_error(found, expected) < 1e-3


def test_exact_refuses_compilation(tmp_path):
    with pytest.raises(ValueError, match=r"torch\.compile.*finite_difference"):
        first_gradient(tmp_path, "exact", torch_compile=True, torch_compile_backend="aot_eager")


@pytest.mark.parametrize("kind", KINDS)
def test_bf16(kind, tmp_path):
    expected, _ = first_gradient(tmp_path, kind if kind == "first_order" else "exact")
    found, _ = first_gradient(tmp_path, kind, bf16=True)
    assert 1e-4 < relative_error(found, expected) < 4e-2, "off by bfloat16's rounding and by no more"


def test_exact_refuses_flash_attention(tmp_path):
    model = small_bert(dropout=0.0)
    trainer = MetaIRMTrainer(model, arguments(tmp_path, meta_gradient="exact"), train_dataset=sentences())
    model.config._attn_implementation = "flash_attention_2"
    # The look at the loss would need the kernel itself.
    batches = {e: [batch] for e, batch in bert_batches(2).items()}
    with pytest.raises(ValueError, match=r"flash_attention_2.*finite_difference"):
        trainer.accumulate_gradient(model, batches)


class Scaled:
    """A Trainer as fp16 has it on a GPU, but for the dtype: a scaler that the optimizer's step goes through."""

    init_scale = 2.0**12

    def create_accelerator_and_postprocess(self):
        super().create_accelerator_and_postprocess()
        self.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=self.init_scale)
        self.accelerator.native_amp = True
        AcceleratorState._shared_state["_mixed_precision"] = "fp16"


def trained(tmp_path, trainer_class, config, dtype=torch.float64, **options):
    model = small_bert(dropout=0.0).to(dtype)
    args = arguments(tmp_path, config, max_grad_norm=0.5, optim="sgd", learning_rate=0.1, **options)
    trainer = trainer_class(model, args, train_dataset=sentences())
    trainer.train()
    AcceleratorState._shared_state["_mixed_precision"] = "no"
    return [p.detach() for p in model.parameters()], trainer


@pytest.mark.parametrize("kind", [*KINDS, "erm"])
def test_gradient_scaler(kind, tmp_path):
    """The same parameters as without one, clipping included; and a step that overflows is left out."""
    trainer_class, config = (
        (EnvironmentTrainer, EnvironmentConfig) if kind == "erm" else (MetaIRMTrainer, MetaIRMConfig)
    )
    options = {} if kind == "erm" else {"meta_gradient": kind}
    scaled_class = type("ScaledTrainer", (Scaled, trainer_class), {})
    overflowing = type("OverflowingTrainer", (scaled_class,), {"init_scale": 2.0**127})

    start = [p.detach().double() for p in small_bert(dropout=0.0).parameters()]
    plain, _ = trained(tmp_path, trainer_class, config, **options)
    scaled, trainer = trained(tmp_path, scaled_class, config, **options)
    assert trainer.accelerator.scaler.get_scale() == Scaled.init_scale
    way, expected_way = ([p - p0 for p, p0 in zip(end, start)] for end in (scaled, plain))
    # With fp16 the finite difference takes fp16's longer step.
    assert relative_error(way, expected_way) < (3e-2 if kind == "finite_difference" else 1e-9)

    left, trainer = trained(tmp_path, overflowing, config, torch.float32, **options)
    assert trainer.accelerator.scaler.get_scale() == 2.0**124
    assert all(map(torch.equal, left, [p.float() for p in start]))


def peft_model(method):
    from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model

    torch.manual_seed(1)
    bert = small_bert(dropout=0.0).double()
    config = {
        "lora": lambda: LoraConfig(r=2, use_dora=True, target_modules=["query", "value"], task_type="SEQ_CLS"),
        "ia3": lambda: IA3Config(
            target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"], task_type="SEQ_CLS"
        ),
        "prompt_tuning": lambda: PromptTuningConfig(num_virtual_tokens=3, task_type="SEQ_CLS"),
        "p_tuning": lambda: PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=4, task_type="SEQ_CLS"),
        "prefix_tuning": lambda: PrefixTuningConfig(num_virtual_tokens=3, task_type="SEQ_CLS"),
    }[method]()
    model = get_peft_model(bert, config).double().train()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("method", ["dora", "ia3", "prompt_tuning", "p_tuning", "prefix_tuning"])
def test_peft_methods(method, tmp_path):
    model = peft_model("lora" if method == "dora" else method)
    batches = bert_batches(2)
    if method == "prefix_tuning" and "past_key_values" not in signature(model.base_model.bert.forward).parameters:
        pytest.skip("PEFT refuses prefix tuning of encoders with this transformers, where they take no past keys")
    expected, _ = reference_gradient(model, bert_risk, batches, {0: [1], 1: [0]}, steps=2)
    # DoRA takes its weights' norm for a constant in the gradient, which a second derivative does as well and a
    # difference of gradients does not.
    for kind, bound in (("exact", 1e-9), ("finite_difference", 1e-4 if method == "dora" else 1e-6)):
        found = meta_gradient(model, bert_risk, batches, kind=kind, scheme="central", inner_steps=2).gradients
        assert relative_error(found, expected) < bound, kind
    expected, _ = reference_gradient(model, bert_risk, batches, {0: [1], 1: [0]}, steps=2, first_order=True)
    found = meta_gradient(model, bert_risk, batches, kind="first_order", inner_steps=2).gradients
    assert relative_error(found, expected) < 1e-9


def test_deepspeed_is_refused(tmp_path):
    trainer = MetaIRMTrainer(small_bert(), arguments(tmp_path), train_dataset=sentences())
    trainer.is_deepspeed_enabled = True
    with pytest.raises(ValueError, match="use DDP or FSDP2"):
        check_setting(trainer)
