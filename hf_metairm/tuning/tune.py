"""The whole of `hf-metairm tune`: features once, trials, a rule, a recommendation, and models with what was chosen."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..data import DATASETS
from ..experiments.bars import no_bars_in_files
from ..experiments.finetune_text import TextArguments, TextComparison
from ..experiments.settings import Settings, read_settings
from ..experiments.store import Store
from ..experiments.two_stages import Features
from ..files import check_room, write
from ..selection import MARGIN, TUNING_RULES
from .difference import find_difference
from .recommendation import Recommendation, recommend
from .report import print_study, write_study
from .study import Plan, Study, search
from .trial import Trial, features_file, fields_of


CHOSEN, MODELS = "chosen.yaml", "models"
DEFAULT_ALGORITHMS = ("erm", "v-rex", "meta-irm")


@dataclass
class TuneArguments(TextArguments):
    """What to search, beside the data and the model; see `help` of each field."""

    output_dir: str = field(default="outputs/tune", metadata={"help": "Where trials, recommendation and models go."})
    stages: str = field(default="two", metadata={"help": "two, and nothing else.", "choices": ("two",)})
    seeds: list[int] = field(
        default_factory=lambda: [0, 1, 2], metadata={"help": "Of the best trials, and of the models at the end."}
    )
    trials: int = field(default=30, metadata={"help": "Trials of each algorithm."})
    rule: str = field(default="worst-group", metadata={"help": "How is chosen.", "choices": tuple(TUNING_RULES)})
    margin: float = field(default=MARGIN, metadata={"help": "Of the rules invariance and calibration."})
    divisions: str = field(
        default="one",
        metadata={
            "help": "Of the best trials' seeds: one division of the rows and first stage, or each seed has its own.",
            "choices": ("one", "seeds"),
        },
    )
    finalists: int = field(
        default=3,
        metadata={"help": "Best trials of each algorithm, among whose means over the seeds the rule chooses."},
    )
    workers: int | None = field(default=None, metadata={"help": "Trials at a time; one, in this process, by default."})
    models: bool = field(default=True, metadata={"help": "Whether models are trained with what was chosen."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rule not in TUNING_RULES:
            raise ValueError(f"There is no rule {self.rule!r}: use one of {', '.join(TUNING_RULES)}.")
        if self.divisions not in ("one", "seeds"):
            raise ValueError(f"divisions={self.divisions!r} is refused: use one or seeds.")
        if self.stages != "two":
            raise ValueError("tune trains in two stages: leave --stages out.")
        for name in ("trials", "finalists", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} is refused: use a number from 1 on.")
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin={self.margin} is refused: use a number from 0 to just below 1.")


def read_tune_settings(argv: list[str]) -> Settings[TuneArguments]:
    """
    Read a command line as `hf-metairm train` does, see [`read_settings`]; ERM is added where it is not among the
    algorithms. A field of an algorithm's Config that is given has that value in all trials.

    Raises:
        ValueError: an unknown setting, or a value that it cannot take.
    """
    given = any(word.partition("=")[0] in ("--algorithms", "--config") for word in argv)
    read = read_settings(TuneArguments, argv if given else [*argv, "--algorithms", *DEFAULT_ALGORITHMS])
    algorithms = list(dict.fromkeys(["erm", *read.algorithms]))
    return replace(read, algorithms=algorithms)


def tune(settings: Settings[TuneArguments], say: Callable[[str], None] = print) -> Recommendation:
    """
    Search settings for text of one's own, in two stages, and say which algorithm to take.

    In `output_dir` it leaves `recommendation.md`, `trade.png`, `trade.html`, `study.db` (of Optuna), `trials.jsonl`
    (the raw results), `chosen.yaml` (for `hf-metairm train`) and, unless `models` is false, a model for each algorithm
    and seed under `models/`. The same call goes on where it was interrupted.

    Args:
        settings (`Settings`): see [`read_tune_settings`].
        say (`Callable`, *optional*): takes progress, line by line.

    Raises:
        ValueError: data or settings that nothing can be chosen by.
        ImportError: the extra `tune` is not installed.
        RunsFailedError: a run failed; the others were carried out all the same.
    """
    _need_optuna()
    no_bars_in_files()
    a = settings.arguments
    folder = Path(a.output_dir)
    check_room(folder)
    comparison = TextComparison(Settings[TextArguments](a, settings.algorithms, settings.fields))
    first = a.seeds[0] if a.divisions == "seeds" else 0
    environments = sorted(set(comparison.data(a.dataset_config, first).train["environment"][:]))
    _check(environments, a)
    divided = _Divided(comparison, folder)
    features = divided.features(first)
    difference = find_difference(features.train, features.validation)[0]
    plan = Plan(
        algorithms=settings.algorithms,
        environments=environments,
        features=divided.key if a.divisions == "seeds" else lambda seed: features.key,
        units=a.head_units,
        trials=a.trials,
        seeds=a.seeds,
        rule=a.rule,
        margin=a.margin,
        unseen=next(iter(a.unseen_environments), ""),
        given=settings.fields,
        finalists=a.finalists,
    )
    study = search(plan, Trial(folder), Store(folder), a.workers, say)
    recommendation = recommend(study.chosen, difference, _majority(features))
    saw = _what_the_rule_saw(features, settings, environments)
    write_study(study, folder, a.rule, recommendation, saw)
    write(folder / CHOSEN, _chosen(study, a, saw))
    print_study(study, a.rule, recommendation)
    command = f"hf-metairm train --config {shlex.quote(str(folder / CHOSEN))}"
    if not a.models:
        say(f"Recommendation, pictures and settings: {folder}. Models with what was chosen: {command}")
        return recommendation
    say(f"Models with what was chosen, seeds {', '.join(map(str, a.seeds))} ({command}):")
    TextComparison(read_settings(TextArguments, ["--config", str(folder / CHOSEN)])).carry_out()
    say(f"Recommended: {recommendation.algorithm}. Why: {folder / 'recommendation.md'}")
    return recommendation


class _Divided:
    """The features of each division of the rows, made and kept in the folder when they are first asked for."""

    def __init__(self, comparison: TextComparison, folder: Path):
        self._comparison, self._folder = comparison, folder
        self._kept: set[int] = set()

    def features(self, seed: int) -> Features:
        """Those of a seed's division."""
        found = self._comparison.two_stages(self._comparison.arguments.dataset_config, seed)[1]
        if seed not in self._kept:
            found.save(features_file(self._folder, found.key))
            self._kept.add(seed)
        return found

    def key(self, seed: int) -> str:
        """The key of a seed's features, which are there from now on."""
        return self.features(seed).key


def _need_optuna() -> None:
    try:
        import optuna  # noqa: F401
        import plotly  # noqa: F401
    except ImportError:
        raise ImportError("`tune` needs the extra of that name: pip install 'hf_metairm[tune]'.") from None


def _check(environments: Sequence[str], a: TuneArguments) -> None:
    if len(environments) < 2:
        raise ValueError(
            f"There is a single training environment ({', '.join(environments)}), so nothing can be compared between "
            "environments: give data from two or more, or name another --environment_column."
        )
    if a.rule == "leave-one-out" and len(environments) < 3:
        raise ValueError(
            f"The rule leave-one-out needs three training environments or more, and there are {len(environments)} "
            f"({', '.join(environments)}): use another rule."
        )
    if a.rule == "oracle" and not a.unseen_environments:
        raise ValueError("The rule oracle needs --unseen_environments, which it looks at: name one, or use another.")


def _majority(features: Features) -> float:
    labels = features.validation["labels"].numpy()
    return float(np.bincount(labels).max() / len(labels))


def _what_the_rule_saw(features: Features, settings: Settings[TuneArguments], environments: Sequence[str]) -> str:
    a = settings.arguments
    trials = f"{a.trials} trials of each of {', '.join(settings.algorithms)}"
    if a.rule == "oracle":
        return (
            f"It saw accuracy in {a.unseen_environments[0]}, which is to be predicted: no rule for practice. {trials}."
        )
    unseen = dict.fromkeys(name for name in features.test["environment"] if name not in environments)
    held = f" No row of {', '.join(unseen)} was looked at." if unseen else ""
    rows = len(features.validation)
    return f"It saw {rows:,} validation rows of the training environments, in {trials}.{held}"


def _chosen(study: Study, a: TuneArguments, saw: str) -> str:
    """The settings file with which `hf-metairm train` trains what was chosen."""
    plain = TextArguments()
    given: dict[str, Any] = {
        f.name: getattr(a, f.name) for f in fields(TextArguments) if getattr(a, f.name) != getattr(plain, f.name)
    }
    path = Path(a.dataset)
    is_path = a.dataset not in DATASETS and path.exists()
    given |= {
        "dataset": str(path.resolve()) if is_path else a.dataset,
        "output_dir": str(Path(a.output_dir, MODELS)),
        "selection_rule": f"by the rule {a.rule}. {saw}",
    }
    sections = {name: fields_of(result["settings"]) for name, result in study.chosen.items()}
    return yaml.safe_dump({**given, "algorithms": sections}, sort_keys=False, allow_unicode=True)
