"""A table in two stages: the encoder is fine-tuned once for a draw of the data, and a head trained for each row."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from transformers import PrinterCallback

from ..data import DATASETS
from ..data.own import OwnData
from ..models.pretrained import MINILM
from ..models.reading import load_tokenizer
from ..trainer import ALGORITHMS, EnvironmentTrainer
from .cache import cache_folder
from .expectation import BOTH, expectation_of
from .heads import DEFAULTS, head_trainer
from .measure import of_a_table
from .precision import bfloat16_is_faster
from .run import Result, Run
from .stage_one import StageOneArguments
from .training import Tell, train_run
from .two_stages import Features, TwoStages


TOKENS = 64  # of a sentence; longer ones are cut
# A third of the rows for the encoder, half for the head, the rest for rules to choose by.
STAGE_ONE = StageOneArguments(
    stage_one_share=0.34, stage_one_batch_size=64, validation_share=0.16, features_bf16=bfloat16_is_faster()
)
ENCODER = MINILM
Measure = Callable[[Any], dict[str, dict[str, float]]]


def train_fine_tuned(
    run: Run, folder: Path, tell: Callable[[int], None], *, source: str = "auto", device: str | None = None
) -> Result:
    """
    Carry out a run whose settings are those of [`train_perceptron`], for a dataset of sentences: `hidden_size` is that
    of the head, and the batch is all rows.

    Args:
        run ([`Run`]): what to train.
        folder (`Path`): of its checkpoints.
        tell (`Callable`): takes the number of steps taken, now and then.
        source (`str`, *optional*, defaults to `"auto"`): where the dataset is built from.
        device (`str`, *optional*): `"cpu"` or `"cuda"`; a GPU if there is one, by default.
    """
    settings = run.settings
    changes = tuple(sorted(settings["dataset_changes"].items()))
    features, title, judge = _features(
        settings["dataset"], settings["dataset_config"], changes, run.seed, source, tuple(settings["environments"])
    )
    kind = ALGORITHMS[settings["algorithm"]][1]

    def make_trainer(folder: Path, stack: ExitStack) -> EnvironmentTrainer:
        fields = {**DEFAULTS, **kind.on_own_data, **kind.on_features, **settings["fields"]}
        args = kind(
            output_dir=str(folder),
            seed=run.seed,
            use_cpu=device == "cpu",
            disable_tqdm=True,
            **{**fields, "max_steps": settings["steps"]},
        )
        trainer = head_trainer(settings["algorithm"], features, args, units=settings["hidden_size"])
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Tell(tell))
        return trainer

    def measure(trainer: EnvironmentTrainer) -> dict[str, Any]:
        found = of_a_table(trainer, features.validation, features.test, features.labels, judge)
        return {"source": title, "rows": len(features.train), **found}

    result = train_run(run, folder, make_trainer, measure)
    del result["history"]
    return result


@lru_cache(maxsize=1)
def _features(
    dataset: str,
    config: str,
    changes: tuple[tuple[str, Any], ...],
    seed: int,
    source: str,
    environments: tuple[str, ...],
) -> tuple[Features, str, Measure]:
    """The features of a draw of the data; one worker makes them, the others wait for what it leaves in the cache."""
    builder = DATASETS.choose(dataset)(config, source=source, seed=seed, test_environments=BOTH, **dict(changes))
    builder.download_and_prepare()
    train, test = builder.as_dataset("train"), builder.as_dataset("test")
    tokenizer = load_tokenizer(ENCODER)
    tokenizer.model_max_length = min(tokenizer.model_max_length, TOKENS)
    data = OwnData(train, test, dataset, groups=train["sentence_id"][:])
    cache_folder().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / f"{dataset}-{builder.config_id}.lock"):
        two_stages = TwoStages(data, tokenizer, ENCODER, "all", 0, STAGE_ONE, seed, say=lambda line: None)
        features = two_stages.features()
    measure = expectation_of(test, builder.CUES, builder.config.label_noise, environments)
    return features, builder.data_source.title, measure
