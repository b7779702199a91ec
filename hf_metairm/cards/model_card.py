"""The card of a trained model: the page, its picture, and the same for machines."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from transformers import PreTrainedModel

from .. import files as writing
from ..names import one_line
from ..provenance import __version__, hardware, versions
from ..secrets import without_secrets
from . import results as measured
from . import text as write
from . import training
from .curves import draw_curves
from .facts import CardDetails, CardFacts, as_list
from .identity import Identity
from .usage import usage_code


CARD, CURVES, DOTS, RESULTS = "README.md", "training_curves.png", "results.png", "results.json"


def write_card(facts: CardFacts, details: CardDetails, folder: Path) -> None:
    """
    Write `README.md`, `training_curves.png`, `results.png` and `results.json` into a folder.

    Names are escaped wherever they come from; a token among the settings is in none of the files.

    Args:
        facts ([`CardFacts`]): of the training run.
        details ([`CardDetails`]): what its user adds to them.
        folder (`Path`): is made if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain: dict[str, Any] = {
        name: without_secrets(v, facts.args) for name, v in vars(details).items() if isinstance(v, str)
    }
    identity, energy = Identity(facts, replace(details, **plain)), read_energy(folder)
    pictures = {
        "curves": CURVES if draw_curves(facts.history, list(facts.environments), folder / CURVES) else None,
        "dots": DOTS if measured.draw_results(identity, folder / DOTS) else None,
    }
    template = (files(__package__) / "model_card.md.jinja").read_text(encoding="utf-8")
    data = metadata(identity, energy)
    card = ModelCard.from_template(data, template_str=template, **pictures, **sections(identity, energy))
    found = json.dumps(for_machines(identity, energy), indent=1, ensure_ascii=False)
    for name, text in ((CARD, str(card)), (RESULTS, found + "\n")):
        writing.write(folder / name, without_secrets(text, facts.args))


def metadata(identity: Identity, energy: dict[str, float] | None) -> ModelCardData:
    """The YAML: names in it stand on one line, and are quoted where YAML wants it."""
    facts, details = identity.facts, identity.details
    kinds = [k.peft_type.value.lower() for k in identity.model.peft_config.values()] if identity.peft else []
    transformers = "transformers" if isinstance(identity.core, PreTrainedModel) else None
    examples = [one_line(example) for example in details.examples or []]
    key = "src" if identity.task == "image-classification" else "text"
    widget: dict[str, Any] = {"widget": [{key: example} for example in examples]} if examples else {}
    return ModelCardData(
        language=details.language,
        license=details.license,
        library_name="peft" if identity.peft else transformers,
        pipeline_tag=identity.task,
        tags=[*facts.tags, *kinds, *map(one_line, as_list(details.tags))],
        base_model=identity.base_model,
        datasets=identity.datasets or None,
        metrics=[m.name for m in facts.metrics] or None,
        model_name=identity.name,
        eval_results=measured.eval_results(identity) or None,
        co2_eq_emissions=energy
        and {
            "emissions": round(1000 * energy["emissions"], 3),
            "source": "codecarbon",
            "training_type": "fine-tuning" if identity.base_model else "training",
            "hardware_used": hardware(),
        },
        **widget,
    )


def sections(identity: Identity, energy: dict[str, float] | None) -> dict[str, Any]:
    """What the template's names stand for."""
    facts, details = identity.facts, identity.details
    processes = facts.args.world_size
    return {
        "title": write.plain(identity.name),
        "what": f"{identity.what}, trained by **{facts.algorithm}** with hf_metairm on data from "
        f"{len(facts.environments)} environments. Its results in each of them, and in those that training did not "
        "see, are below.",
        "facts": _facts_table(identity),
        "notes": write.plain(details.notes) if details.notes else None,
        "metric": write.plain(facts.metrics[0].title.capitalize()) if len(facts.metrics) == 1 else "Results",
        "results": measured.results_table(facts, details),
        "results_notes": measured.results_notes(facts, details, len(identity.labels)),
        "objective": training.objective_text(facts),
        "environments": training.environments_text(facts, details),
        "settings": training.settings_table(facts, details),
        "selection_rule": training.selection_text(facts, details),
        "usage": usage_code(identity),
        "architecture": write.code(identity.class_name),
        "limits": _limits(facts),
        "made_with": ", ".join(f"{name} {version}" for name, version in _versions(identity).items())
        + f"; {hardware()}; {processes} process{'es' * (processes > 1)}.",
        "version": __version__,
        "energy": energy
        and "Energy, as CodeCarbon measured it: {energy_consumed:.3g} kWh and {emissions:.3g} kg of CO₂ "
        "equivalent in {duration:.0f} seconds.".format(**energy),
        "citation": write.bibliography(
            write.META_IRM_PAPER, facts.paper, details.dataset_citation, write.software_citation(__version__)
        ),
    }


def for_machines(identity: Identity, energy: dict[str, float] | None) -> dict[str, Any]:
    """What `results.json` holds; names as they are in the data."""
    facts, details = identity.facts, identity.details
    return {
        "name": identity.name,
        "algorithm": facts.algorithm,
        "base_model": identity.base_model,
        "labels": list(identity.labels.values()),
        "dataset": as_list(details.dataset) or identity.datasets,
        "dataset_args": as_list(details.dataset_args),
        "environment_column": details.environment_column or facts.environment_column,
        "results": [
            {
                **({"dataset": r.dataset} if r.dataset is not None else {}),
                **r.metrics,
                "environment": r.environment,
                "standard_error": next(
                    (m.standard_error(r.metrics[m.name], r.rows) for m in facts.metrics if m.name in r.metrics), None
                ),
                "rows": r.rows,
                "majority": r.majority,
                "unseen": facts.is_unseen(r),
            }
            for r in facts.results
        ],
        "baseline": details.baseline,
        "worst_environment": facts.worst.environment if facts.worst else None,
        "training_rows": facts.environments,
        "steps": facts.steps,
        "settings": training.all_settings(facts.args),
        "selection_rule": details.selection_rule,
        "versions": _versions(identity),
        "hardware": hardware(),
        "energy": energy,
    }


def read_energy(folder: Path) -> dict[str, float] | None:
    """What CodeCarbon last wrote into a folder: kg of CO₂ equivalent, kWh and seconds."""
    try:
        with open(folder / "emissions.csv", encoding="utf-8", newline="") as handle:
            last = list(csv.DictReader(handle))[-1]
        return {key: float(last[key]) for key in ("emissions", "energy_consumed", "duration")}
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return None


def _facts_table(identity: Identity) -> str:
    details, (every, trained) = identity.details, identity.parameters
    data = ", ".join(map(write.code, as_list(details.dataset) or identity.datasets)) or "not named"
    if details.dataset_args:
        data += f", config {', '.join(map(write.code, as_list(details.dataset_args)))}"
    classes = _few(list(identity.labels.values()), "classes") if identity.labels else "not named"
    rows = [
        ["Base model", identity.origin],
        ["Parameters", f"{every:,}, of which {trained:,} were trained"],
        ["Classes", classes],
        ["Data", data],
    ]
    return write.table(["", ""], rows)


def _limits(facts: CardFacts) -> str:
    against, trained = facts.description.against, list(facts.environments)
    if trained:
        where = "the training environments"
        against = against.replace(where, f"{where} ({_few(trained, 'of them')})", 1)
    lines = [
        f"It was trained against {against}.",
        facts.description.not_against,
        measured.worst_sentence(facts),
        "It is one run with one seed. Other seeds may differ by more than the errors in the table.",
    ]
    return "\n".join(f"- {line}" for line in lines if line)


def _versions(identity: Identity) -> dict[str, str]:
    return versions("accelerate", *(["peft"] if identity.peft else []))


def _few(values: list[str], what: str) -> str:
    """Names in a sentence, or how many there are."""
    return write.names(values) if len(values) <= 20 else f"{len(values):,} {what}"
