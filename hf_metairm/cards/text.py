"""What a card is written with: names that cannot break out of their place, tables, and the code that loads a model."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any


PROJECT = "https://pypi.org/project/hf-metairm/"
META_IRM_PAPER = """@article{bae2021meta,
  title={Meta-Learned Invariant Risk Minimization},
  author={Bae, Jun-Hyun and Choi, Inchul and Lee, Minho},
  journal={arXiv preprint arXiv:2103.12947},
  year={2021}
}"""
AUTO_CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "image-classification": "AutoModelForImageClassification",
}


def one_line(value: Any) -> str:
    """A name from data or a user on one line, without control characters."""
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in str(value))
    return " ".join(text.split())


def code(value: Any) -> str:
    """A name as code: in a code span nothing of it is read as Markdown or HTML, and no link is made of it."""
    text = one_line(value)
    if not text:
        return "(empty)"
    # A code span cannot hold these in every place, such as a table's cell.
    return f"<code>{plain(text)}</code>" if re.search(r"[`|\\]", text) else f"`{text}`"


def plain(value: Any) -> str:
    """A user's text as text: whatever Markdown or HTML could read as theirs is written as a character reference."""
    return re.sub(r"[^\w\s.,;()+='’%–—/·θλσαΣ-]|_|(?<=/)/", lambda c: f"&#{ord(c[0])};", one_line(value))


def names(values: Iterable[Any], conjunction: str = "and") -> str:
    """Names as code in a sentence: `a`, `b` and `c`."""
    words = [code(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}" if words else "none"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A Markdown table; `right` lists the columns that stand to the right."""
    rule = ["---:" if column in right else "---" for column in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [list(header), rule, *map(list, rows)])


def number(value: Any) -> str:
    """A setting's value as one writes it."""
    value = getattr(value, "value", value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def quoted(value: Any) -> str:
    """A name as a string of Python, on one line."""
    return json.dumps(one_line(value), ensure_ascii=False)


def loading_code(
    model_id: str,
    *,
    model_class: type,
    auto_class: str | None = None,
    task: str | None = None,
    tokenizer: bool = False,
    peft: bool = False,
    id2label: dict[int, str] | None = None,
) -> str | None:
    """
    The Python code that loads the model; `None` where only its own class can.

    Args:
        model_id (`str`): the repository, or the folder.
        model_class (`type`): the model's class, that of the base model with `peft`.
        auto_class (`str`, *optional*): the Auto class that the model's own code is published for.
        task (`str`, *optional*): its pipeline tag.
        tokenizer (`bool`, *optional*, defaults to `False`): whether there is a tokenizer beside the model.
        peft (`bool`, *optional*, defaults to `False`): whether these are adapters.
        id2label (`dict[int, str]`, *optional*): names of the classes, which adapters do not carry.
    """
    name = f"model_id = {quoted(model_id)}"
    if auto_class is not None:
        lines = [
            f"from transformers import {auto_class}",
            "",
            name,
            "# The model's code comes with it; with hf_metairm installed, `import hf_metairm.models` does as well.",
            f"model = {auto_class}.from_pretrained(model_id, trust_remote_code=True)",
        ]
    elif not model_class.__module__.startswith("transformers."):
        return None
    elif peft:
        classifies = task == "text-classification"
        auto = "AutoPeftModelForSequenceClassification" if classifies else "AutoPeftModel"
        lines = [f"from peft import {auto}", "", name]
        if classifies:
            pairs = {int(k): one_line(v) for k, v in (id2label or {}).items()}
            lines += [
                "# The adapters know their base model, but neither how many classes there are nor their names.",
                f"labels = {{{', '.join(f'{k}: {quoted(v)}' for k, v in pairs.items())}}}",
                f"model = {auto}.from_pretrained(model_id, num_labels={len(pairs)}, id2label=labels)",
            ]
        else:
            lines.append(f"model = {auto}.from_pretrained(model_id)")
    elif task == "text-classification" and tokenizer:
        lines = [
            "from transformers import pipeline",
            "",
            name,
            'classify = pipeline("text-classification", model=model_id)',
            'print(classify("A sentence to classify."))',
        ]
    else:
        auto = AUTO_CLASSES.get(task or "", model_class.__name__)
        lines = [f"from transformers import {auto}", "", name, f"model = {auto}.from_pretrained(model_id)"]
    if tokenizer and (peft or auto_class):
        lines.insert(lines.index(""), "from transformers import AutoTokenizer")
        lines.append("tokenizer = AutoTokenizer.from_pretrained(model_id)")
    return "\n".join(lines)


def software_citation(version: str) -> str:
    """This library as BibTeX."""
    return f"""@software{{hf_metairm,
  title={{hf\\_metairm: meta-learned invariant risk minimization for the Hugging Face Trainer}},
  author={{The hf\\_metairm authors}},
  version={{{version}}},
  url={{{PROJECT}}}
}}"""


def bibliography(*entries: str | None) -> str:
    """BibTeX entries, each key once; nothing that ends a block of code."""
    found: dict[str, str] = {}
    for entry in re.findall(r"@\w+\{.*?\n\}", "\n".join(filter(None, entries)), re.DOTALL):
        found.setdefault(entry.split("{", 1)[1].split(",", 1)[0], entry)
    return "\n\n".join(found.values()).replace("```", "'''")
