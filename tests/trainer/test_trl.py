"""Meta-IRM on trl's Trainers, on small random models: every number against one that is computed by hand."""

from __future__ import annotations

import copy
import importlib.util
import math
import random
import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy, logsigmoid

from ..gradients.reference import reference_gradient, relative_error


pytest.importorskip("trl")

from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

import hf_metairm
from hf_metairm.algorithms.rex import RExSettings
from hf_metairm.trainer import RExTrainer
from hf_metairm.trainer.trl import OnTRL, TRLSettings


@dataclass
class RExSFTConfig(TRLSettings, RExSettings, SFTConfig):
    pass


class RExSFTTrainer(RExTrainer, OnTRL, SFTTrainer):
    config_class = RExSFTConfig


TASKS = ["SFT", "Reward", "DPO"]
WORDS = ["the", "a", "film", "was", "good", "bad", "long", "short", "very", "not", "yes", "no"]
VOCABULARY = {word: k for k, word in enumerate(["<pad>", "<eos>", "<unk>", *WORDS])}
ROWS = 8  # of each environment: one batch holds all of them


def tokenizer():
    words = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", model_max_length=64
    )


def rows(task: str, environments: str = "ab") -> list[dict]:
    draws = random.Random(0)

    def words(least: int) -> str:
        return " ".join(draws.choices(WORDS, k=draws.randint(least, least + 4)))

    found = []
    for k in range(ROWS * len(environments)):
        row = {"environment": environments[k % len(environments)], "prompt": words(2)}
        answers = {"completion": " " + words(1)}
        if task != "SFT":
            answers = {"chosen": " " + words(1), "rejected": " " + words(1)}
        found.append({**row, **answers})
    return found


def small_model(task: str, dtype=torch.float64):
    torch.manual_seed(0)
    without = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    size = {"vocab_size": len(VOCABULARY), "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
    config = GPT2Config(**size, **special, **without, initializer_range=0.2, num_labels=1)
    return (GPT2ForSequenceClassification if task == "Reward" else GPT2LMHeadModel)(config).to(dtype)


def lora(task: str, **options) -> LoraConfig:
    kind = "SEQ_CLS" if task == "Reward" else "CAUSAL_LM"
    return LoraConfig(
        r=2, target_modules=["c_attn"], fan_in_fan_out=True, task_type=kind, init_lora_weights=False, **options
    )


def trainer_of(task: str, folder, model=None, environments="ab", given=None, **options):
    """A Trainer whose batch is the whole dataset, in float32 arithmetic or better."""
    given = dict(given or {})
    model = small_model(task) if model is None else model
    if task == "DPO" and "peft_config" not in given and not hasattr(model, "peft_config"):
        given.setdefault("ref_model", perturbed(copy.deepcopy(model)))
    data = Dataset.from_list(rows(task, environments))
    defaults = {
        "per_device_train_batch_size": ROWS * len(environments),
        "per_device_eval_batch_size": ROWS,
        "max_steps": 1,
        "logging_steps": 1,
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "max_grad_norm": 0.0,
        "learning_rate": 1e-2,
    }
    config = getattr(hf_metairm, f"MetaIRM{task}Config")(str(folder), **{**defaults, **options})
    given = {"train_dataset": data, "eval_dataset": data, "processing_class": tokenizer(), **given}
    return getattr(hf_metairm, f"MetaIRM{task}Trainer")(model, args=config, **given)


@torch.no_grad()
def perturbed(model):
    """The model a little elsewhere, so that it is not its own reference."""
    for p in model.parameters():
        p.add_(torch.randn_like(p), alpha=0.05)
    return model


# The risks by hand: from text to the mean loss, without trl


def padded(sequences: list[list[int]]) -> dict[str, torch.Tensor]:
    width = max(map(len, sequences))
    return {
        "input_ids": torch.tensor([s + [0] * (width - len(s)) for s in sequences]),
        "attention_mask": torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sequences]),
    }


def ids(text: str) -> list[int]:
    return [VOCABULARY[word] for word in text.split()]


def completion_scores(model, pairs: list[tuple[str, str]]) -> list[torch.Tensor]:
    """The log-probability of every token of each completion, its end included."""
    inputs = padded([[*ids(prompt + answer), 1] for prompt, answer in pairs])
    logits = model(**inputs).logits
    scores = []
    for k, (prompt, answer) in enumerate(pairs):
        start, end = len(ids(prompt)), len(ids(prompt + answer)) + 1
        scores.append(
            -cross_entropy(logits[k, start - 1 : end - 1], inputs["input_ids"][k, start:end], reduction="none")
        )
    return scores


def by_hand(task: str, model, batch: list[dict], reference=None) -> torch.Tensor:
    if task == "SFT":
        return -torch.cat(completion_scores(model, [(r["prompt"], r["completion"]) for r in batch])).mean()
    sides = ("chosen", "rejected")
    if task == "Reward":
        chosen, rejected = (
            model(**padded([[*ids(r["prompt"] + r[side]), 1] for r in batch])).logits.squeeze(-1) for side in sides
        )
        return -logsigmoid(chosen - rejected).mean()

    def sums(of):
        return [
            torch.stack([s.sum() for s in completion_scores(of, [(r["prompt"], r[k]) for r in batch])]) for k in sides
        ]

    (chosen, rejected), (chosen_before, rejected_before) = sums(model), reference(sums)
    return -logsigmoid(0.1 * ((chosen - chosen_before) - (rejected - rejected_before))).mean()


def of_model(model):
    """The reference of DPO: another model."""

    @torch.no_grad()
    def found(sums):
        return sums(model)

    return found


def batches(task: str, environments: str = "ab") -> dict[str, list[dict]]:
    return {e: [r for r in rows(task, environments) if r["environment"] == e] for e in environments}


class KeepGradient(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradient = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def pairs_of(environments: str) -> dict[str, list[str]]:
    return {i: [j for j in environments if j != i] for i in environments}


@pytest.mark.parametrize("environments", ["ab", "abc"])
@pytest.mark.parametrize("task", TASKS)
def test_risks_and_gradient_are_those_computed_by_hand(task, environments, tmp_path):
    keep = KeepGradient()
    trainer = trainer_of(task, tmp_path, environments=environments, given={"callbacks": [keep]})
    model = copy.deepcopy(trainer.model)
    plain = small_model(task)
    plain.load_state_dict(model.state_dict())
    reference = of_model(trainer.ref_model) if task == "DPO" else None
    rows_of = batches(task, environments)
    trainer.train()
    assert trainer.model.is_gradient_checkpointing

    logged = trainer.state.log_history[0]
    for environment, batch in rows_of.items():
        assert logged[f"risk_{environment}"] == pytest.approx(by_hand(task, plain, batch, reference).item(), rel=1e-6)
    gradient, objective = reference_gradient(
        plain, lambda m, batch: by_hand(task, m, batch, reference), rows_of, pairs_of(environments)
    )
    assert logged["loss"] == pytest.approx(objective.item(), rel=1e-6)
    ours = [keep.gradient[name] for name, _ in plain.named_parameters()]
    assert relative_error(ours, gradient) < 1e-8


@pytest.mark.parametrize("task", TASKS)
def test_finite_difference_through_the_fused_head_is_close_to_exact(task, tmp_path):
    found = {}
    for kind in ("exact", "finite_difference"):
        keep = KeepGradient()
        options = {"meta_gradient": kind, "finite_difference_scheme": "central", "inner_learning_rate": 1.0}
        trainer = trainer_of(task, tmp_path, small_model(task, torch.float32), given={"callbacks": [keep]}, **options)
        trainer.train()
        found[kind] = keep.gradient
    exact, difference = found.values()
    assert relative_error(difference.values(), exact.values()) < 2e-3


@pytest.mark.parametrize("kind", ["exact", "finite_difference"])
@pytest.mark.parametrize("task", TASKS)
def test_lora(task, kind, tmp_path):
    keep = KeepGradient()
    given = {"callbacks": [keep], "peft_config": lora(task)}
    options = {"meta_gradient": kind, "finite_difference_scheme": "central"}
    trainer = trainer_of(task, tmp_path, given=given, **options)
    trainer.model.double()  # peft makes its own parameters in float32.
    model = copy.deepcopy(trainer.model)
    adapted = model.get_base_model()
    vars(adapted).pop("forward", None)  # trl's: what is computed by hand goes through transformers' own.

    def reference(sums):
        # Not by requires_grad: the adapters are the parameters that the gradient is taken of.
        layers = [m for m in model.modules() if isinstance(getattr(m, "scaling", None), dict)]
        kept = [dict(layer.scaling) for layer in layers]
        for layer in layers:
            layer.scaling = dict.fromkeys(layer.scaling, 0.0)
        with torch.no_grad():
            values = sums(model)
        for layer, scaling in zip(layers, kept):
            layer.scaling = scaling
        return values

    rows_of = batches(task)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert logged["risk_a"] == pytest.approx(by_hand(task, model, rows_of["a"], reference).item(), rel=1e-6)
    gradient, _ = reference_gradient(
        model, lambda m, batch: by_hand(task, m, batch, reference), rows_of, pairs_of("ab")
    )
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert all("lora" in name or "score" in name for name in names)
    error = relative_error([keep.gradient[name] for name in names], gradient)
    assert error < (1e-8 if kind == "exact" else 1e-5)


@pytest.mark.parametrize("kind", ["exact", "finite_difference"])
def test_dpo_of_an_adapter_that_was_trained_before_takes_a_copy_of_it_for_reference(kind, tmp_path):
    # trl freezes and unfreezes the adapters within the loss: each gradient must still meet its parameter.
    keep = KeepGradient()
    model = get_peft_model(small_model("DPO"), lora("DPO"))
    trainer = trainer_of(
        "DPO", tmp_path, model, given={"callbacks": [keep]}, meta_gradient=kind, l2_regularization=0.1
    )
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    trainer.train()
    # The policy is its own reference: every log-ratio is 0.
    assert trainer.state.log_history[0]["risk_a"] == pytest.approx(math.log(2), rel=1e-6)
    changed = {n for n, p in trainer.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert changed == {n for n in before if "lora" in n and ".default." in n}
    for name in changed:
        assert keep.gradient[name].shape == before[name].shape


@pytest.mark.parametrize("task", TASKS)
def test_micro_batches_are_one_batch(task, tmp_path):
    def gradient(**options):
        keep = KeepGradient()
        trainer = trainer_of(task, tmp_path, given={"callbacks": [keep]}, **options)
        trainer.train()
        return keep.gradient, trainer.state.log_history[0]

    whole, logged = gradient()
    parts, logged_parts = gradient(per_device_train_batch_size=4, gradient_accumulation_steps=4)
    assert relative_error(parts.values(), whole.values()) < 1e-6
    # What trl notes, too: of every token once, at θ alone.
    assert logged_parts["num_tokens"] == logged["num_tokens"]
    assert logged_parts["risk_a"] == pytest.approx(logged["risk_a"], rel=1e-6)


@pytest.mark.parametrize("kind", ["exact", "finite_difference", "first_order"])
def test_what_trl_notes_in_training_is_of_the_model_and_not_of_the_adapted_one(kind, tmp_path):
    trainer = trainer_of(
        "Reward", tmp_path, environments="abc", inner_learning_rate=5.0, inner_steps=2, meta_gradient=kind
    )
    plain = copy.deepcopy(trainer.model)
    trainer.train()
    logged = trainer.state.log_history[0]
    with torch.no_grad():
        margins = [
            torch.stack(
                [
                    plain(**padded([[*ids(r["prompt"] + r[side]), 1] for r in batch])).logits
                    for side in ("chosen", "rejected")
                ]
            )
            for batch in batches("Reward", "abc").values()
        ]
    margins = torch.cat([chosen - rejected for chosen, rejected in margins])
    assert logged["margin"] == pytest.approx(margins.mean().item(), rel=1e-5)
    assert logged["accuracy"] == pytest.approx((margins > 0).double().mean().item())
    tokens = [len(ids(r["prompt"] + r[side])) + 1 for r in rows("Reward", "abc") for side in ("chosen", "rejected")]
    assert logged["num_tokens"] == sum(tokens)


@pytest.mark.parametrize("task", TASKS)
def test_evaluation_by_environment(task, tmp_path):
    trainer = trainer_of(task, tmp_path, per_device_eval_batch_size=3)
    plain = small_model(task)
    plain.load_state_dict(trainer.model.state_dict())
    reference = of_model(trainer.ref_model) if task == "DPO" else None
    metrics = trainer.evaluate()
    again = trainer.evaluate(Dataset.from_list(rows(task)))  # As it was loaded: trl tokenizes it.
    quality = {"SFT": "mean_token_accuracy", "Reward": "accuracy", "DPO": "rewards/accuracies"}[task]
    for environment, batch in batches(task).items():
        if task != "SFT":  # There the loss is the mean over batches of means over tokens, as with trl.
            expected = by_hand(task, plain, batch, reference).item()
            assert metrics[f"eval_{environment}_loss"] == pytest.approx(expected, rel=1e-6)
        assert again[f"eval_{environment}_loss"] == pytest.approx(metrics[f"eval_{environment}_loss"])
        assert 0 <= metrics[f"eval_{environment}_{quality}"] <= 1
    both = [metrics[f"eval_{e}_{quality}"] for e in "ab"]
    assert metrics[f"eval_worst_environment_{quality}"] == min(both)
    assert metrics[f"eval_mean_environment_{quality}"] == pytest.approx(sum(both) / 2)
    assert [(r.environment, r.rows) for r in trainer.results] == [("a", ROWS), ("b", ROWS)]


def test_the_accuracy_of_an_environment_is_the_mean_over_its_tokens(tmp_path):
    trainer = trainer_of("SFT", tmp_path, per_device_eval_batch_size=3)
    plain = small_model("SFT")
    plain.load_state_dict(trainer.model.state_dict())
    metrics = trainer.evaluate()
    for environment, batch in batches("SFT").items():
        right = []
        for r in batch:
            start, sequence = len(ids(r["prompt"])), [*ids(r["prompt"] + r["completion"]), 1]
            guesses = plain(torch.tensor([sequence])).logits[0].argmax(-1)
            right += [guesses[k - 1].item() == sequence[k] for k in range(start, len(sequence))]
        assert metrics[f"eval_{environment}_mean_token_accuracy"] == pytest.approx(sum(right) / len(right))


@pytest.mark.parametrize("task", TASKS)
def test_the_best_checkpoint_by_the_worst_environment_and_a_resumed_run(task, tmp_path):
    quality = {"SFT": "mean_token_accuracy", "Reward": "accuracy", "DPO": "rewards/accuracies"}[task]
    options = {"max_steps": 4, "per_device_train_batch_size": 4, "std_loss_momentum": 0.5}
    saving = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}
    best = {"load_best_model_at_end": True, "metric_for_best_model": f"worst_environment_{quality}"}
    trainer_of(task, tmp_path / "best", **options, **saving, **best).train()

    whole = trainer_of(task, tmp_path / "run", **options, **saving)
    whole.train()
    assert not (tmp_path / "run" / "README.md").exists()  # A card is written when it is asked for.
    resumed = trainer_of(task, tmp_path / "run", **options, **saving)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-2"))
    for a, b in zip(whole.model.parameters(), resumed.model.parameters()):
        assert torch.equal(a, b)


def test_dpo_with_log_probabilities_of_the_reference_computed_before(tmp_path):
    risks = [trainer_of("DPO", tmp_path, precompute_ref_log_probs=precompute) for precompute in (False, True)]
    for trainer in risks:
        trainer.train()
    a, b = (trainer.state.log_history[0]["risk_a"] for trainer in risks)
    assert a == pytest.approx(b, rel=1e-6)


def test_a_card(tmp_path):
    trainer = trainer_of("Reward", tmp_path)
    trainer.train()
    trainer.create_model_card(model_name="rewards")
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "meta-IRM" in card
    assert "reward-trainer" in card


def test_padding_free_packs_one_environment_at_a_time(tmp_path):
    options = {"padding_free": True, "max_length": None}
    logged = []
    for chosen in ({}, options):
        trainer = trainer_of("SFT", tmp_path, **chosen)
        trainer.train()
        logged.append(trainer.state.log_history[0])
    assert logged[1]["risk_a"] == pytest.approx(logged[0]["risk_a"], rel=1e-6)
    assert logged[1]["risk_b"] == pytest.approx(logged[0]["risk_b"], rel=1e-6)


def test_another_algorithm_in_front_of_a_trainer_of_trl(tmp_path):
    options = {"bf16": False, "use_cpu": True, "report_to": "none", "logging_steps": 1, "save_strategy": "no"}
    args = RExSFTConfig(str(tmp_path), max_steps=1, per_device_train_batch_size=2 * ROWS, **options)
    data = Dataset.from_list(rows("SFT"))
    trainer = RExSFTTrainer(small_model("SFT"), args, train_dataset=data, processing_class=tokenizer())
    trainer.train()
    risk = by_hand("SFT", small_model("SFT"), batches("SFT")["a"]).item()
    assert trainer.state.log_history[0]["risk_a"] == pytest.approx(risk, rel=1e-6)


@pytest.mark.parametrize("name", ["sft_text", "reward", "dpo"])
def test_example(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = (Path(__file__).parents[2] / "trainer_examples" / f"{name}.py").read_text(encoding="utf-8")
    assert len(code.splitlines()) < 80
    code = re.sub(r"max_steps=\d+", "max_steps=2, disable_tqdm=True", code)
    module = types.ModuleType("example")  # A checkpoint keeps its Config by module and name.
    exec(compile(code, name, "exec"), vars(module))
    assert "eval_worst_environment_" in capsys.readouterr().out


# What is refused

ON_CPU = {"bf16": False, "use_cpu": True}


def test_packing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="packing=True is refused: it joins rows of several environments"):
        hf_metairm.MetaIRMSFTConfig(str(tmp_path), packing=True, **ON_CPU)
    with pytest.raises(ValueError, match="packing=True is refused"):
        hf_metairm.MetaIRMSFTConfig(str(tmp_path), eval_packing=True, **ON_CPU)


def test_activation_offloading_is_refused(tmp_path):
    with pytest.raises(ValueError, match="activation_offloading=True is refused"):
        hf_metairm.MetaIRMDPOConfig(str(tmp_path), activation_offloading=True, **ON_CPU)


@pytest.mark.parametrize("task", TASKS)
def test_a_dataset_without_the_column_is_refused_before_it_is_prepared(task, tmp_path, monkeypatch):
    monkeypatch.setattr(Dataset, "map", lambda *args, **kwargs: pytest.fail("prepared"))
    data = Dataset.from_list(rows(task)).remove_columns("environment")
    with pytest.raises(ValueError, match=r"no column 'environment' \(its columns: prompt.*with environment_column="):
        trainer_of(task, tmp_path, given={"train_dataset": data})


def test_an_environment_of_which_nothing_is_left_is_refused(tmp_path):
    data = Dataset.from_list(
        [{**r, "prompt": r["prompt"] * 9} if r["environment"] == "c" else r for r in rows("SFT", "abc")]
    )
    with pytest.raises(ValueError, match="No row of environment 'c' is left after MetaIRMSFTTrainer prepared"):
        trainer_of("SFT", tmp_path, given={"train_dataset": data}, max_length=12)


def test_a_config_of_trl_alone_is_refused(tmp_path):
    with pytest.raises(ValueError, match="MetaIRMSFTTrainer takes a MetaIRMSFTConfig"):
        hf_metairm.MetaIRMSFTTrainer(small_model("SFT"), SFTConfig(str(tmp_path), **ON_CPU))


def test_without_trl_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "hf_metairm.trainer.trl")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="stand on trl: pip install trl, or pip install 'hf_metairm"):
        hf_metairm.MetaIRMSFTTrainer  # noqa: B018
    assert "MetaIRMSFTTrainer" not in hf_metairm.__all__
    assert "MetaIRMSFTTrainer" in dir(hf_metairm)
