"""What a card is written from: plain facts of one training run, and what its user adds to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..algorithms.description import Description
from ..metrics import Metric, metric_named


@dataclass(frozen=True)
class CardResult:
    """
    What was measured in one environment.

    Args:
        environment (`str`, *optional*): its name; `None` where the rows have no environment column.
        rows (`int`): how many rows it was measured on.
        metrics (`dict[str, float]`): every metric, by name; the first one decides which environment is worst.
        dataset (`str`, *optional*): the name of the evaluation dataset, where there are several.
        majority (`float`, *optional*): the share of rows in the most frequent class.
    """

    environment: str | None
    rows: int
    metrics: Mapping[str, float]
    dataset: str | None = None
    majority: float | None = None


@dataclass
class CardFacts:
    """
    What is known of a training run.

    Args:
        model (`torch.nn.Module`): as trained, `peft`'s wrapper included, no other one.
        args (`transformers.TrainingArguments`): with which settings.
        algorithm (`str`): its title, such as `"meta-IRM"`.
        tags (`Sequence[str]`): for the Hub.
        description ([`Description`]): what was minimized.
        paper (`str`, *optional*): BibTeX of the algorithm.
        environment_column (`str`): as it was called in training.
        environments (`dict[str, int]`): rows of each training environment.
        results (`list[CardResult]`): what was measured.
        history (`Sequence[dict]`): a Trainer's `state.log_history`.
        steps (`int`): optimizer steps.
        best_metric (`float`, *optional*): of the checkpoint that was kept, where the best one was.
        repository (`str`, *optional*): of the model on the Hub.
        processor (`Any`, *optional*): the tokenizer or image processor that is saved beside the model.
        datasets (`list[str]`): names on the Hub of the training data, as far as they are known.
    """

    model: Any
    args: Any
    algorithm: str
    tags: Sequence[str]
    description: Description
    paper: str | None = None
    environment_column: str = "environment"
    environments: dict[str, int] = field(default_factory=dict)
    results: list[CardResult] = field(default_factory=list)
    history: Sequence[dict[str, Any]] = ()
    steps: int = 0
    best_metric: float | None = None
    repository: str | None = None
    processor: Any = None
    datasets: list[str] = field(default_factory=list)

    def is_unseen(self, result: CardResult) -> bool:
        """Whether it was evaluated and not trained on."""
        return bool(self.environments) and result.environment not in (None, *self.environments)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of the results, the one that decides which environment is worst first."""
        return [metric_named(name) for name in dict.fromkeys(name for r in self.results for name in r.metrics)]

    @property
    def worst(self) -> CardResult | None:
        """The environment that does worst, of at least two."""
        first = self.metrics[:1]
        named = {str(k): r for k, r in enumerate(self.results) if r.environment is not None}
        values = {k: r.metrics[m.name] for m in first for k, r in named.items() if m.name in r.metrics}
        return named[first[0].worst(values)] if len(values) > 1 else None


@dataclass
class CardDetails:
    """
    What a card says that a Trainer cannot know. The first nine are those of `transformers.Trainer.create_model_card`.

    Args:
        language (`str` or `list[str]`, *optional*): code of the data's language, such as `"en"`.
        license (`str`, *optional*): the model's licence, by its name on the Hub.
        tags (`str` or `list[str]`, *optional*): more tags.
        model_name (`str`, *optional*): defaults to the name of the repository or of the output folder.
        finetuned_from (`str`, *optional*): the base model's name on the Hub; by default the name that the model was
            loaded by, unless that is a folder.
        tasks (`str` or `list[str]`, *optional*): the pipeline tag, `"text-classification"` for example; by default
            what the model's class is for.
        dataset_tags (`str` or `list[str]`, *optional*): names of the training data on the Hub; by default where
            `datasets` loaded them from.
        dataset (`str` or `list[str]`, *optional*): what the data are called in the text.
        dataset_args (`str` or `list[str]`, *optional*): which config of them.
        dataset_citation (`str`, *optional*): BibTeX of the data.
        selection_rule (`str`, *optional*): how the hyper-parameters were chosen; the card says so if they were just
            given.
        notes (`str`, *optional*): a paragraph on what else a reader should know.
        environment_column (`str`, *optional*): what the environment column is called in the data, where it was renamed
            for training.
        examples (`list[str]`, *optional*): inputs that may be published, for the Hub's widget and the card's code:
            sentences, or addresses of pictures.
        baseline (`dict[str, dict[str, float]]`, *optional*): ERM's metrics in each environment, from the same data and
            model, to stand beside the algorithm's.
    """

    language: str | list[str] | None = None
    license: str | None = None
    tags: str | list[str] | None = None
    model_name: str | None = None
    finetuned_from: str | None = None
    tasks: str | list[str] | None = None
    dataset_tags: str | list[str] | None = None
    dataset: str | list[str] | None = None
    dataset_args: str | list[str] | None = None
    dataset_citation: str | None = None
    selection_rule: str | None = None
    notes: str | None = None
    environment_column: str | None = None
    examples: list[str] | None = None
    baseline: Mapping[str, Mapping[str, float]] | None = None

    def updated(self, **given: Any) -> CardDetails:
        """The same with what is given and not `None` in its place."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def as_list(value: str | list[str] | None) -> list[str]:
    """One name or several as a list."""
    return [value] if isinstance(value, str) else list(value or [])
