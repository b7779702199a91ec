"""How a model was trained: the objective, the environments, and the settings that were used."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from transformers import TrainingArguments

from ..secrets import is_secret
from . import text as write
from .facts import CardDetails, CardFacts


NO_RULE = "Hyper-parameters as given, no selection recorded."
# Of the Trainer's own settings, those that any comparison of two runs asks for.
BUDGET = (
    "learning_rate",
    "lr_scheduler_type",
    "optim",
    "weight_decay",
    "max_grad_norm",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "bf16",
    "fp16",
    "seed",
)


def objective_text(facts: CardFacts) -> str:
    """What was minimized."""
    return f"```text\n{facts.description.formula}\n```\n\n{facts.description.where}"


def environments_text(facts: CardFacts, details: CardDetails) -> str:
    """The training environments with their rows, and which column names them."""
    if not facts.environments:
        return "There were no training data in this Trainer: it has evaluated the model only."
    rows = [[write.code(name), f"{rows:,}"] for name, rows in facts.environments.items()]
    column = write.code(details.environment_column or facts.environment_column)
    return f"The column {column} names each row's environment.\n\n" + write.table(
        ["training environment", "rows"], rows, right=(1,)
    )


def own_fields(args: Any) -> list[Any]:
    """
    The fields that a Config has beyond `TrainingArguments`, but for secrets.

    A field that only counts with another's value says so in the class's `used_if`:
    `{"finite_difference_scheme": {"meta_gradient": "finite_difference"}}`.
    """
    known = {f.name for f in fields(TrainingArguments)}
    return [f for f in fields(args) if f.name not in known and not is_secret(f.name)]


def settings_table(facts: CardFacts, details: CardDetails) -> str:
    """The settings that were used: what is off, or only counts with another setting, is left out."""
    args = facts.args
    used = [f for f in own_fields(args) if f.name != "environment_column" and _is_used(f, args)]
    rows = [[f"`{f.name}`", _value(args, f.name), f.metadata.get("help", "")] for f in used]
    rows += [[f"`{name}`", _value(args, name), ""] for name in BUDGET if _is_on(name, getattr(args, name))]
    rows.append(["optimizer steps", f"{facts.steps:,}", ""])
    return write.table(["setting", "value", ""], rows)


def selection_text(facts: CardFacts, details: CardDetails) -> str:
    """How the settings and the checkpoint were chosen."""
    rule, args = write.plain(details.selection_rule) if details.selection_rule else NO_RULE, facts.args
    if args.load_best_model_at_end and facts.best_metric is not None:
        rule += (
            f" Of this run's checkpoints the one with the best {write.code(args.metric_for_best_model)} on the "
            "evaluation data was kept."
        )
    return rule


def all_settings(args: Any) -> dict[str, Any]:
    """Every setting for machines, used or not."""
    names = [*(f.name for f in own_fields(args)), *BUDGET]
    return {name: getattr(value, "value", value) for name in names for value in [getattr(args, name)]}


def _is_used(field: Any, args: Any) -> bool:
    needed = getattr(type(args), "used_if", {}).get(field.name, {})
    counts = all(getattr(args, k) in (v if isinstance(v, tuple) else (v,)) for k, v in needed.items())
    return counts and _is_on(field.name, getattr(args, field.name))


def _is_on(name: str, value: Any) -> bool:
    return name == "seed" or (value is not None and value is not False and value != 0)


def _value(args: Any, name: str) -> str:
    return write.code(write.number(getattr(args, name)))
