"""`create_model_card` of every Trainer: the card, its picture, and the figures for machines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..cards.model_card import write_card
from .evaluation import EnvironmentEvaluation


@dataclass(frozen=True)
class Objective:
    """
    What an algorithm minimizes, for its card.

    Args:
        formula (`str`): in plain letters, several lines if need be.
        where (`str`): what stands for what, and with which values, as Markdown.
        against (`str`): the kind of shift that it works against, as the rest of a sentence.
        not_against (`str`): what it does nothing about, as a sentence.
    """

    formula: str
    where: str
    against: str
    not_against: str = (
        "A cue that is equally strong in all training environments is no different from the task to it and will have "
        "been learned; nor was it trained for classes, vocabulary or kinds of input that they do not have."
    )


@dataclass
class CardDetails:
    """What the card says that a Trainer cannot know, see [`ModelCardWriter.create_model_card`]."""

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

    def updated(self, **given: Any) -> CardDetails:
        """The same with what is given and not `None` in its place."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


class ModelCardWriter(EnvironmentEvaluation):
    """
    The part of [`EnvironmentTrainer`] that writes the card of what it trained.

    Args:
        card_details ([`CardDetails`]): what every card of this Trainer is to say, those that `push_to_hub` writes by
            itself too; `trainer.card_details.dataset = "reviews of four sites"` for example.
    """

    _name: str
    _tag_names: tuple[str, ...]
    _paper: str | None = None

    def __init__(self, *args: Any, **kwargs: Any):
        self.card_details = CardDetails()
        super().__init__(*args, **kwargs)

    def objective_description(self) -> Objective:
        """What is minimized, with its settings, for the card."""
        raise NotImplementedError

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """`transformers.Trainer.push_to_hub`; what was not evaluated is evaluated for the card first."""
        self._evaluate_for_card()  # By all processes: the card itself is written by the first alone.
        return super().push_to_hub(*args, **kwargs)

    def create_model_card(
        self,
        language: str | list[str] | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
        dataset_citation: str | None = None,
        selection_rule: str | None = None,
        notes: str | None = None,
    ) -> None:
        """
        Write `README.md`, `training_curves.png` and `results.json` into the output folder, on the first process.

        The accuracies are those of the last `evaluate()`; with one process an evaluation that is lacking is made up
        for, with several call `evaluate()` on all of them first. Names are escaped wherever they come from.

        Args:
            language (`str` or `list[str]`, *optional*): code of the data's language, such as `"en"`.
            license (`str`, *optional*): the model's licence, by its name on the Hub.
            tags (`str` or `list[str]`, *optional*): more tags.
            model_name (`str`, *optional*): defaults to the name of the repository or of the output folder.
            finetuned_from (`str`, *optional*): the base model's name on the Hub; by default the name that the model
                was loaded by, unless that is a folder.
            tasks (`str` or `list[str]`, *optional*): the pipeline tag, `"text-classification"` for example; by default
                what the model's class is for.
            dataset_tags (`str` or `list[str]`, *optional*): names of the training data on the Hub.
            dataset (`str` or `list[str]`, *optional*): what the data are called in the text.
            dataset_args (`str` or `list[str]`, *optional*): which config of them.
            dataset_citation (`str`, *optional*): BibTeX of the data.
            selection_rule (`str`, *optional*): how the hyper-parameters were chosen; the card says so if they were
                just given.
            notes (`str`, *optional*): a paragraph on what else a reader should know.
        """
        if self.args.world_size == 1:
            self._evaluate_for_card()
        if not self.is_world_process_zero():
            return
        details = self.card_details.updated(
            language=language,
            license=license,
            tags=tags,
            model_name=model_name,
            finetuned_from=finetuned_from,
            tasks=tasks,
            dataset_tags=dataset_tags,
            dataset=dataset,
            dataset_args=dataset_args,
            dataset_citation=dataset_citation,
            selection_rule=selection_rule,
            notes=notes,
        )
        write_card(self, details, Path(str(self.args.output_dir)))

    def _evaluate_for_card(self) -> None:
        if self.eval_dataset is not None and self.results is None:
            self.evaluate()
