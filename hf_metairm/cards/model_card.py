"""The card of one Trainer, put together from what it knows, and what it was told."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import fields
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import PreTrainedModel, TrainingArguments

from ..provenance import __version__, hardware, versions
from ..trainer.evaluation import EnvironmentResult
from . import text as write
from .curves import draw_curves


if TYPE_CHECKING:
    from ..trainer.model_card import CardDetails

CARD, CURVES, RESULTS = "README.md", "training_curves.png", "results.json"
NO_RULE = "Hyper-parameters as given, no selection recorded."
WHAT = {"text-classification": "A text classifier", "image-classification": "An image classifier"}
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


def write_card(trainer: Any, details: CardDetails, folder: Path) -> None:
    """Write `README.md`, `training_curves.png` and `results.json` into a folder."""
    page = _Page(trainer, details)
    folder.mkdir(parents=True, exist_ok=True)
    curves = draw_curves(trainer.state.log_history, list(page.trained), folder / CURVES)
    template = (files(__package__) / "model_card.md.jinja").read_text(encoding="utf-8")
    card = ModelCard.from_template(page.metadata(), template_str=template, curves=curves, **page.words())
    card.save(folder / CARD)
    figures = json.dumps(page.figures(), indent=1, ensure_ascii=False)
    (folder / RESULTS).write_text(figures + "\n", encoding="utf-8")


class _Page:
    """What the card says, piece by piece."""

    def __init__(self, trainer: Any, details: CardDetails):
        self.trainer, self.details, self.args = trainer, details, trainer.args
        self.model: Any = trainer.accelerator.unwrap_model(trainer.model)
        self.peft = hasattr(self.model, "peft_config")
        self.core: Any = self.model.get_base_model() if self.peft else self.model
        self.results: list[EnvironmentResult] = trainer.results or []
        self.trained: dict[str, int] = dict(trainer.environments.sizes) if trainer.environments else {}
        self.objective = trainer.objective_description()
        self.datasets = _list(details.dataset) or _list(details.dataset_tags)
        self.configs = _list(details.dataset_args)

    @cached_property
    def model_id(self) -> str:
        """The repository, or until there is one the output folder's name."""
        return self.trainer.hub_model_id or self.args.hub_model_id or self.name

    @cached_property
    def name(self) -> str:
        repository = (self.trainer.hub_model_id or self.args.hub_model_id or "").split("/")[-1]
        given = self.details.model_name or repository or Path(self.args.output_dir).resolve().name
        return write.one_line(given) or "model"

    @cached_property
    def base_model(self) -> str | None:
        """Name of the base model on the Hub; a folder's is nobody else's business."""
        config: Any = getattr(self.core, "config", None)
        loaded = next(iter(self.model.peft_config.values())).base_model_name_or_path if self.peft else None
        name = self.details.finetuned_from or loaded or getattr(config, "_name_or_path", None)
        if not name or os.path.exists(name):
            return None
        try:
            validate_repo_id(name)
        except HFValidationError:
            return None
        return name

    @cached_property
    def tasks(self) -> list[str]:
        """The pipeline tag: as given, or what the model's class is for."""
        name, main = type(self.core).__name__, getattr(self.core, "main_input_name", None)
        if self.details.tasks:
            return _list(self.details.tasks)
        if name.endswith("ForImageClassification") or (main == "pixel_values" and self.labels):
            return ["image-classification"]
        if name.endswith("ForSequenceClassification") or (main == "input_ids" and self.auto_class):
            return ["text-classification"]
        return []

    @cached_property
    def auto_class(self) -> str | None:
        """The Auto class that the model's own code is saved for."""
        return getattr(self.core, "_auto_class", None)

    @cached_property
    def labels(self) -> dict[int, str]:
        return dict(getattr(getattr(self.core, "config", None), "id2label", None) or {})

    def is_unseen(self, result: EnvironmentResult) -> bool:
        """Whether it was evaluated and not trained on."""
        return bool(self.trained) and result.environment is not None and result.environment not in self.trained

    @cached_property
    def worst(self) -> EnvironmentResult | None:
        named = [r for r in self.results if r.environment is not None]
        return min(named, key=lambda r: r.accuracy) if len(named) > 1 else None

    @cached_property
    def energy(self) -> dict[str, float] | None:
        """What CodeCarbon last wrote: kg of CO₂ equivalent, kWh and seconds."""
        file = Path(self.args.output_dir, "emissions.csv")
        try:
            with open(file, encoding="utf-8", newline="") as handle:
                last = list(csv.DictReader(handle))[-1]
            return {key: float(last[key]) for key in ("emissions", "energy_consumed", "duration")}
        except (OSError, IndexError, KeyError, TypeError, ValueError):
            return None

    # The metadata

    def metadata(self) -> ModelCardData:
        """The YAML: names in it stand on one line, and are quoted where YAML wants it."""
        details = self.details
        kinds = [k.peft_type.value.lower() for k in self.model.peft_config.values()] if self.peft else []
        transformers = "transformers" if isinstance(self.core, PreTrainedModel) else None
        energy: dict[str, Any] | None = self.energy and {
            "emissions": round(1000 * self.energy["emissions"], 3),
            "source": "codecarbon",
            "training_type": "fine-tuning" if self.base_model else "training",
            "hardware_used": hardware(),
        }
        return ModelCardData(
            language=details.language,
            license=details.license,
            library_name="peft" if self.peft else transformers,
            pipeline_tag=self.tasks[0] if self.tasks else None,
            tags=[*self.trainer._tag_names, *kinds, *map(write.one_line, _list(details.tags))],
            base_model=self.base_model,
            datasets=_list(details.dataset_tags) or None,
            metrics=["accuracy"] if self.results else None,
            model_name=self.name,
            eval_results=[self._eval_result(result) for result in self.results] or None,
            co2_eq_emissions=energy,
        )

    def _eval_result(self, result: EnvironmentResult) -> EvalResult:
        tags = _list(self.details.dataset_tags)
        data = write.one_line(self.datasets[0]) if self.datasets else "unnamed data"
        place = [write.one_line(p) for p in (result.dataset, result.environment) if p is not None]
        return EvalResult(
            task_type=self.tasks[0] if self.tasks else "other",
            dataset_type=tags[0] if tags else data,
            dataset_name=", environment ".join([data, *place[-1:]]) if result.environment is not None else data,
            dataset_config=write.one_line(self.configs[0]) if self.configs else None,
            # What keeps the results apart: one for each environment.
            dataset_split="/".join(place) or None,
            dataset_args={
                "environment": place[-1] if result.environment is not None else None,
                "unseen_in_training": self.is_unseen(result),
                "rows": result.rows,
            },
            metric_type="accuracy",
            metric_name="accuracy" + (" in an unseen environment" if self.is_unseen(result) else ""),
            metric_value=round(result.accuracy, 6),
        )

    # The text

    def words(self) -> dict[str, Any]:
        """What the template's names stand for."""
        details, trainer = self.details, self.trainer
        architecture = type(self.core).__name__
        return {
            "title": write.plain(self.name),
            "what": self._what(architecture),
            "facts": self._facts(architecture),
            "notes": write.plain(details.notes) if details.notes else None,
            "results": self._result_table(),
            "unseen": any(map(self.is_unseen, self.results)),
            "objective": f"```text\n{self.objective.formula}\n```\n\n{self.objective.where}",
            "environments": self._environments(),
            "settings": self._settings(),
            "selection_rule": self._selection_rule(),
            "loading": write.loading_code(
                self.model_id,
                model_class=type(self.core),
                auto_class=self.auto_class,
                task=self.tasks[0] if self.tasks else None,
                tokenizer=trainer.processing_class is not None,
                peft=self.peft,
                id2label=self.labels,
            ),
            "architecture": write.code(architecture),
            "limits": self._limits(),
            "made_with": ", ".join(f"{name} {version}" for name, version in self._versions().items())
            + f"; {hardware()}; {self.args.world_size} process{'es' * (self.args.world_size > 1)}.",
            "energy": self.energy
            and "Energy, as CodeCarbon measured it: {energy_consumed:.3g} kWh and {emissions:.3g} kg of CO₂ "
            "equivalent in {duration:.0f} seconds.".format(**self.energy),
            "citation": write.bibliography(
                write.META_IRM_PAPER, trainer._paper, details.dataset_citation, write.software_citation(__version__)
            ),
        }

    def _what(self, architecture: str) -> str:
        kind = WHAT.get(self.tasks[0] if self.tasks else "", "A model")
        adapters = ", as adapters" if self.peft else ""
        return (
            f"{kind} ({write.code(architecture)}{adapters}), trained by **{self.trainer._name}** with "
            f"[hf_metairm]({write.PROJECT}) on data from {len(self.trained)} environments. Its accuracy in each of "
            "them, and in those that training did not see, is below."
        )

    def _facts(self, architecture: str) -> str:
        base: Any = getattr(self.core, "config", None)
        if self.base_model:
            origin = write.code(self.base_model)
        elif getattr(base, "_name_or_path", None):
            origin = "a model from a folder, whose name on the Hub was not given"
        else:
            origin = "none: training began with new weights" if base is not None else "not known to the Trainer"
        data = ", ".join(map(write.code, self.datasets)) or "not named"
        if self.configs:
            data += f", config {', '.join(map(write.code, self.configs))}"
        parameters = list(self.model.parameters())
        trained = sum(p.numel() for p in parameters if p.requires_grad)
        rows = [
            ["Base model", origin],
            ["Parameters", f"{sum(p.numel() for p in parameters):,}, of which {trained:,} were trained"],
            ["Classes", _few(list(self.labels.values()), "classes") if self.labels else "not named"],
            ["Data", data],
        ]
        return write.table(["", ""], rows)

    def _result_table(self) -> str | None:
        if not self.results:
            return None
        several = any(r.dataset is not None for r in self.results)
        header = [*(["data"] if several else []), "environment", "rows", "accuracy", ""]
        rows = []
        for r in self.results:
            marks = ["**worst**"] * (r is self.worst) + ["**unseen**"] * self.is_unseen(r)
            place = "all rows" if r.environment is None else write.code(r.environment)
            figures = f"{100 * r.accuracy:.1f} ± {100 * r.standard_error:.1f}"
            rows.append(
                [*([write.code(r.dataset)] if several else []), place, f"{r.rows:,}", figures, ", ".join(marks)]
            )
        return write.table(header, rows, right=(len(header) - 3, len(header) - 2))

    def _environments(self) -> str:
        if not self.trained:
            return "There were no training data in this Trainer: it has evaluated the model only."
        rows = [[write.code(name), f"{rows:,}"] for name, rows in self.trained.items()]
        return write.table(["training environment", "rows"], rows, right=(1,))

    def _settings(self) -> str:
        rows = [[f"`{f.name}`", write.code(write.number(getattr(self.args, f.name))), f.metadata.get("help", "")]
                for f in _own_fields(self.args)]  # fmt: skip
        rows += [[f"`{name}`", write.code(write.number(getattr(self.args, name))), ""] for name in BUDGET]
        rows.append(["optimizer steps", f"{self.trainer.state.global_step:,}", ""])
        return write.table(["setting", "value", ""], rows)

    def _selection_rule(self) -> str:
        rule = write.plain(self.details.selection_rule) if self.details.selection_rule else NO_RULE
        state = self.trainer.state
        if self.args.load_best_model_at_end and state.best_metric is not None:
            rule += (
                f" Of this run's checkpoints the one with the best {write.code(self.args.metric_for_best_model)} on "
                "the evaluation data was kept."
            )
        return rule

    def _limits(self) -> str:
        against, trained = self.objective.against, list(self.trained)
        if trained:
            where = "the training environments"
            against = against.replace(where, f"{where} ({_few(trained, 'of them')})", 1)
        lines = [f"- It was trained against {against}.", f"- {self.objective.not_against}"]
        if self.worst is not None:
            w = self.worst
            assert w.environment is not None
            lines.append(
                f"- Of what was measured it does worst in {write.code(w.environment)}: {100 * w.accuracy:.1f} ± "
                f"{100 * w.standard_error:.1f} percent. Expect other places to be like that rather than like the mean."
            )
        lines.append("- It is one run with one seed. Other seeds may differ by more than the errors in the table.")
        return "\n".join(lines)

    def _versions(self) -> dict[str, str]:
        return versions("accelerate", *(["peft"] if self.peft else []))

    # The figures for machines

    def figures(self) -> dict[str, Any]:
        """What `results.json` holds; names as they are in the data."""
        settings = {f.name: getattr(self.args, f.name) for f in _own_fields(self.args)}
        settings |= {name: getattr(self.args, name) for name in BUDGET}
        return {
            "name": self.name,
            "algorithm": self.trainer._name,
            "base_model": self.base_model,
            "dataset": self.datasets,
            "dataset_args": self.configs,
            "results": [
                {
                    **({"dataset": r.dataset} if r.dataset is not None else {}),
                    "environment": r.environment,
                    "accuracy": r.accuracy,
                    "standard_error": r.standard_error,
                    "rows": r.rows,
                    "unseen": self.is_unseen(r),
                }
                for r in self.results
            ],
            "worst_environment": self.worst.environment if self.worst else None,
            "training_rows": self.trained,
            "steps": self.trainer.state.global_step,
            "settings": {name: getattr(value, "value", value) for name, value in settings.items()},
            "selection_rule": self.details.selection_rule,
            "versions": self._versions(),
            "hardware": hardware(),
            "energy": self.energy,
        }


def _list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _few(values: list[str], what: str) -> str:
    """Names in a sentence, or how many there are."""
    return write.names(values) if len(values) <= 20 else f"{len(values):,} {what}"


def _own_fields(args: Any) -> list[Any]:
    """The fields that a Config has beyond `TrainingArguments`."""
    known = {f.name for f in fields(TrainingArguments)}
    return [f for f in fields(args) if f.name not in known]
