"""The results in each environment: as a table, and as the Hub's `model-index`."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import EvalResult

from ..names import one_line
from . import text as write
from .dots import Dots, draw_dots
from .facts import CardDetails, CardFacts, CardResult, as_list
from .identity import Identity


def results_table(facts: CardFacts, details: CardDetails) -> str | None:
    """A row for each environment and a column for each metric, ERM's beside it where it is known."""
    if not facts.results:
        return None
    metrics, baseline = facts.metrics, details.baseline or {}
    beside = {m.name for m in metrics for values in baseline.values() if m.name in values}
    several = any(r.dataset is not None for r in facts.results)
    with_majority = _has_majority(facts)
    header = [*(["data"] if several else []), "environment", "rows"]
    for m in metrics:
        header += [m.heading if len(metrics) > 1 or beside else m.title, *([f"ERM's {m.title}"] * (m.name in beside))]
    header += ["most frequent class"] * with_majority
    rows = []
    for r in facts.results:
        cells = [write.code(r.dataset)] if several else []
        cells += ["all rows" if r.environment is None else write.code(r.environment), f"{r.rows:,}"]
        for m in metrics:
            cells.append(m.with_error(r.metrics.get(m.name), r.rows))
            if m.name in beside:
                cells.append(m.with_error(baseline.get(r.environment or "", {}).get(m.name), r.rows))
        if with_majority:
            cells.append("" if r.majority is None else f"{100 * r.majority:.1f}")
        marks = ["**worst**"] * (r is facts.worst) + ["**unseen**"] * facts.is_unseen(r)
        rows.append([*cells, ", ".join(marks)])
    return write.table([*header, ""], rows, right=range(1 + several, len(header)))


def results_notes(facts: CardFacts, details: CardDetails, classes: int) -> str:
    """What a reader of the table must know, as sentences."""
    notes = []
    shares = [m for m in facts.metrics if m.share_of_rows]
    if shares:
        which = "In" if len(shares) == len(facts.metrics) else f"{write.names(m.name for m in shares)} in"
        notes.append(
            f"{which} percent, ± the binomial standard error of the rows it was measured on; no other seed is in it."
        )
    if _has_majority(facts):
        chance = f"Guessing among the {classes} classes is right in {100 / max(classes, 1):.1f} % of rows. "
        majority = "Always naming an environment's most frequent class is right in the last column's share."
        notes.append(chance * (classes > 1) + majority)
    if details.baseline:
        notes.append("ERM's results are from the same data and model.")
    if any(map(facts.is_unseen, facts.results)):
        notes.append("**Unseen** environments were evaluated and never trained on.")
    else:
        notes.append(
            "No environment was evaluated that was not trained on: **nothing here says how the model does elsewhere.**"
        )
    return "\n".join(notes)


def worst_sentence(facts: CardFacts) -> str | None:
    """Where the model does worst, as a sentence."""
    worst = facts.worst
    if worst is None:
        return None
    m = facts.metrics[0]
    return (
        f"Of what was measured it does worst in {write.code(worst.environment)}: "
        f"{m.title} {m.with_error(worst.metrics[m.name], worst.rows)}{' percent' * m.share_of_rows}. "
        "Expect other places to be like that rather than like the mean."
    )


def draw_results(identity: Identity, file: Path) -> bool:
    """The first metric as a picture; says whether there was something to draw, and else removes what is there."""
    facts, details, classes = identity.facts, identity.details, len(identity.labels)
    m = next(iter(facts.metrics), None)
    found = {
        "/".join(p for p in (r.dataset, r.environment) if p is not None): r
        for r in facts.results
        if m is not None and r.environment is not None and m.name in r.metrics
    }
    if m is None or not found:
        file.unlink(missing_ok=True)
        return False
    values = {name: r.metrics[m.name] for name, r in found.items()}
    errors = {name: m.standard_error(values[name], r.rows) or 0.0 for name, r in found.items()}
    erm = {name: (details.baseline or {}).get(r.environment or "", {}).get(m.name) for name, r in found.items()}
    dots = Dots(
        m,
        values,
        {name: (values[name] - error, values[name] + error) for name, error in errors.items()},
        unseen=[name for name, r in found.items() if facts.is_unseen(r)],
        worst=next((name for name, r in found.items() if r is facts.worst), None),
        baseline={name: value for name, value in erm.items() if value is not None},
        lines={f"guessing among {classes} classes": 1 / classes} if m.share_of_rows and classes > 1 else {},
        column=details.environment_column or facts.environment_column,
        title=f"{facts.algorithm}, {m.title}",
    )
    draw_dots(dots, file)
    return True


def eval_results(identity: Identity) -> list[EvalResult]:
    """One result for each environment and metric: what the Hub shows beside the card."""
    facts, details, tags = identity.facts, identity.details, identity.datasets
    names, configs = as_list(details.dataset) or tags, as_list(details.dataset_args)
    data = one_line(names[0]) if names else "unnamed data"

    def place(r: CardResult) -> list[str]:
        return [one_line(p) for p in (r.dataset, r.environment) if p is not None]

    return [
        EvalResult(
            task_type=identity.task or "other",
            dataset_type=tags[0] if tags else data,
            dataset_name=", environment ".join([data, *place(r)[-1:]]) if r.environment is not None else data,
            dataset_config=one_line(configs[0]) if configs else None,
            dataset_split="/".join(place(r)) or None,  # What keeps the results apart: one for each environment.
            dataset_args={
                "environment": place(r)[-1] if r.environment is not None else None,
                "unseen_in_training": facts.is_unseen(r),
                "rows": r.rows,
            },
            metric_type=name,
            metric_name=name.replace("_", " ") + " in an unseen environment" * facts.is_unseen(r),
            metric_value=round(value, 6),
        )
        for r in facts.results
        for name, value in r.metrics.items()
    ]


def _has_majority(facts: CardFacts) -> bool:
    return any(m.share_of_rows for m in facts.metrics) and any(r.majority is not None for r in facts.results)
