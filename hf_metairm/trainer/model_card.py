"""`create_model_card` of every Trainer: its facts, from which `cards` writes the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets

from ..cards.facts import CardDetails, CardFacts, CardResult
from ..cards.model_card import write_card
from ..data.seen import SEEN, SeenTexts
from .checkpoint import CheckpointedState
from .evaluation import EnvironmentEvaluation
from .guessing import majority_shares


TEXT_COLUMNS = ("sentence", "text")
TAGS = ("hf-metairm", "out-of-distribution")


class ModelCardWriter(EnvironmentEvaluation, CheckpointedState):
    """
    The part of [`EnvironmentTrainer`] that writes the card of what it trained.

    Args:
        card_details ([`CardDetails`]): what every card of this Trainer is to say, those that `push_to_hub` writes by
            itself too; `trainer.card_details.dataset = "reviews of four sites"` for example.
    """

    args: Any  # an `EnvironmentConfig`
    card_details: CardDetails
    trained_texts: Iterable[str] | None = None
    """The texts that were trained on, where the training dataset has no column of them."""

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """`transformers.Trainer.push_to_hub`; what was not evaluated is evaluated for the card first."""
        self._evaluate_for_card()  # By all processes: the card itself is written by the first alone.
        return super().push_to_hub(*args, **kwargs)

    def create_model_card(self, *args: Any, **details: Any) -> None:
        """
        Write `README.md`, `training_curves.png`, `results.png` and `results.json` into the output folder, on the
        first process, and for evaluations of the checkpoint `_trained_on.safetensors`, digests of the training texts,
        which is not published.

        The results are those of the last `evaluate()`; with one process an evaluation that is lacking is made up for,
        with several call `evaluate()` on all of them first. Names are escaped wherever they come from.

        It takes the fields of [`CardDetails`] (`language`, `license`, `tags` and so on), in its order or by name; what
        is not given is that of `card_details`.
        """
        given = CardDetails(*args, **details)
        if self.args.world_size == 1:
            self._evaluate_for_card()
        if self.is_world_process_zero():
            folder = Path(str(self.args.output_dir))
            write_card(self.card_facts(), self.card_details.updated(**vars(given)), folder)
            if (texts := self._texts()) is not None:
                SeenTexts.of(texts).save(folder / SEEN)

    def card_facts(self) -> CardFacts:
        """What this Trainer knows for a card."""
        environments, algorithm = getattr(self, "environments", None), self.algorithm
        return CardFacts(
            model=self.accelerator.unwrap_model(self.model),
            args=self.args,
            algorithm=algorithm.title,
            tags=[*algorithm.tags, *TAGS],
            description=algorithm.describe(),
            paper=algorithm.paper,
            environment_column=self.args.environment_column,
            environments=dict(environments.sizes) if environments else {},
            results=list(self._card_results()),
            history=self.state.log_history,
            steps=self.state.global_step,
            best_metric=self.state.best_metric,
            repository=getattr(self, "hub_model_id", None) or self.args.hub_model_id,
            processor=self.processing_class,
            datasets=hub_datasets(self.train_dataset),
        )

    def _texts(self) -> Iterable[str] | None:
        """What evaluations of the checkpoint compare their rows with."""
        dataset: Any = self.train_dataset
        if self.trained_texts is not None or not isinstance(dataset, datasets.Dataset):
            return self.trained_texts
        column = next((c for c in TEXT_COLUMNS if c in dataset.column_names), None)
        texts = None if column is None else dataset.with_format(None)[column][:]
        return texts if texts and all(isinstance(text, str) for text in texts) else None

    def _card_results(self) -> Iterator[CardResult]:
        parts = self.eval_dataset if isinstance(self.eval_dataset, dict) else {None: self.eval_dataset}
        shares = {name: majority_shares(part, self.args.environment_column) for name, part in parts.items()}
        for r in self.results or []:
            majority = shares.get(r.dataset, {}).get(r.environment)
            yield CardResult(r.environment, r.rows, r.numbers, r.dataset, majority)

    def _evaluate_for_card(self) -> None:
        if self.eval_dataset is not None and self.results is None:
            self.evaluate()


def hub_datasets(dataset: Any) -> list[str]:
    """
    Names on the Hub of what a dataset was loaded from: `datasets` keeps the rows of `owner/name`, and what is made of
    them, under `owner___name/<config>/<version>/<commit>/`.
    """
    files = [file["filename"] for file in getattr(dataset, "cache_files", [])]
    found = (re.search(r"/([^/]+)___([^/]+)/[^/]+/[^/]+/[0-9a-f]{40}/", Path(file).as_posix()) for file in files)
    return list(dict.fromkeys(f"{match[1]}/{match[2]}" for match in found if match))
