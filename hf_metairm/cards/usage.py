"""The Python code that loads a model and has it predict something."""

from __future__ import annotations

import json
from typing import Any

from ..names import one_line
from .identity import Identity


AUTO_CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "image-classification": "AutoModelForImageClassification",
}
# An input for each task whose `pipeline` takes one argument.
INPUTS = {
    "text-classification": "A sentence to classify.",
    "token-classification": "A sentence whose words to classify.",
    "text-generation": "A beginning to go on from",
    "image-classification": "picture.png",
}
# What `pipeline` needs beside the model: text a tokenizer, pictures an image processor.
PROCESSOR_NEEDS = {"image-classification": "preprocess"}


def usage_code(identity: Identity) -> str | None:
    """The code, from the imports to a prediction where there is one to show; `None` where only own code loads it."""
    task, processor = identity.task, identity.facts.processor
    examples = identity.details.examples or [INPUTS.get(task or "", "")]
    name, example = f"model_id = {_quoted(identity.model_id)}", _quoted(examples[0])
    if not identity.auto_class and not type(identity.core).__module__.startswith("transformers."):
        return None
    if identity.peft:
        return _adapter(identity, name, example)
    fits = processor is not None and hasattr(processor, PROCESSOR_NEEDS.get(task or "", "encode"))
    if task in INPUTS and fits:
        trust = ["# The model's code comes with it."] * bool(identity.auto_class)
        more = ", trust_remote_code=True" if identity.auto_class else ""
        return "\n".join(
            [
                "from transformers import pipeline",
                "",
                name,
                *trust,
                f'predict = pipeline("{task}", model=model_id{more})',
                f"print(predict({example}))",
            ]
        )
    auto = identity.auto_class or AUTO_CLASSES.get(task or "", identity.class_name)
    load = f"model = {auto}.from_pretrained(model_id{', trust_remote_code=True' * bool(identity.auto_class)})"
    lines = [f"from transformers import {auto}", "", name]
    if identity.auto_class:
        lines.append(
            "# The model's code comes with it; with hf_metairm installed, `import hf_metairm.models` does too."
        )
    lines.append(load)
    if task == "image-classification" and (shape := _pixels(identity.config)):
        lines = ["import torch", *lines, f"pixels = torch.rand(1, {shape})  # in place of your pictures: from 0 to 1"]
        lines += ["best = model(pixel_values=pixels).logits.argmax(-1).item()", "print(model.config.id2label[best])"]
    return "\n".join(lines)


def _adapter(identity: Identity, name: str, example: str) -> str:
    classifies, tokenizer = identity.task == "text-classification", identity.facts.processor is not None
    auto = "AutoPeftModelForSequenceClassification" if classifies else "AutoPeftModel"
    lines = ["from transformers import AutoTokenizer"] * tokenizer + [f"from peft import {auto}", "", name]
    if not classifies:
        return "\n".join([*lines, f"model = {auto}.from_pretrained(model_id)"])
    labels = {int(k): one_line(v) for k, v in identity.labels.items()}
    lines += [
        "# The adapters know their base model, but neither how many classes there are nor their names.",
        f"labels = {{{', '.join(f'{k}: {_quoted(v)}' for k, v in labels.items())}}}",
        f"model = {auto}.from_pretrained(model_id, num_labels={len(labels)}, id2label=labels).eval()",
    ]
    if tokenizer:
        lines += [
            "tokenizer = AutoTokenizer.from_pretrained(model_id)",
            f'best = model(**tokenizer({example}, return_tensors="pt")).logits.argmax(-1).item()',
            "print(labels[best])",
        ]
    return "\n".join(lines)


def _pixels(config: Any) -> str | None:
    """Channels, height and width of a model's pictures, where its config says them."""
    channels = getattr(config, "channels", getattr(config, "num_channels", None))
    size = getattr(config, "image_size", None)
    return f"{channels}, {size}, {size}" if isinstance(channels, int) and isinstance(size, int) else None


def _quoted(value: Any) -> str:
    """A name as a string of Python, on one line."""
    return json.dumps(one_line(value), ensure_ascii=False)
