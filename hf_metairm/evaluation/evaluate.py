"""`evaluate_checkpoint`: from the names of a checkpoint and a dataset to the figures."""

from __future__ import annotations

import datasets
import numpy as np

from ..environments import read_environments
from ..provenance import versions
from .bootstrap import CONFIDENCE, interval, resample_accuracies
from .checkpoint import load_checkpoint
from .confusion import confusion_matrix
from .labels import class_ids
from .result import EnvironmentFigures, Evaluation


def evaluate_checkpoint(
    checkpoint: str,
    rows: datasets.Dataset,
    *,
    dataset: str = "",
    config: str | None = None,
    split: str = "test",
    environment_column: str = "environment",
    label_column: str = "label",
    text_column: str | None = None,
    image_column: str | None = None,
    max_length: int | None = None,
    batch_size: int = 64,
    resamples: int = 1000,
    seed: int = 0,
    device: str | None = None,
) -> Evaluation:
    """
    Evaluate a classifier in each environment of a dataset.

    Args:
        checkpoint (`str`): a folder or a name on the Hub; a text or image classifier, or a `peft` adapter of one.
        rows (`datasets.Dataset`): has the columns.
        dataset (`str`), config (`str`), split (`str`, *optional*): what the rows are called in the result.
        environment_column (`str`, *optional*, defaults to `"environment"`): names each row's environment.
        label_column (`str`, *optional*, defaults to `"label"`): the class, see [`class_ids`].
        text_column (`str`, *optional*): by default `sentence` or `text`.
        image_column (`str`, *optional*): by default `image` or `img`.
        max_length (`int`, *optional*): tokens of a text, longer ones are cut; by default what the model can take.
        batch_size (`int`, *optional*, defaults to 64): rows at a time.
        resamples (`int`, *optional*, defaults to 1000): bootstrap samples.
        seed (`int`, *optional*, defaults to 0): of the bootstrap.
        device (`str`, *optional*): such as `"cpu"` or `"cuda:1"`; a GPU if there is one, by default.

    Raises:
        ValueError: what is given does not fit together; the message says how to mend it.
        OSError: the checkpoint cannot be read or reached.
    """
    if not len(rows):
        raise ValueError(f"There are no rows in the split {split!r} of {dataset or 'the dataset'}.")
    for number, option in ((batch_size, "--batch_size"), (resamples, "--bootstrap")):
        if number < 1:
            raise ValueError(f"{option} {number}: give a number from 1 on.")
    for column, option in ((environment_column, "--environment_column"), (label_column, "--label_column")):
        if column not in rows.column_names:
            raise ValueError(
                f"The dataset has no column {column!r} (its columns: {', '.join(rows.column_names)}): name yours with "
                f"{option}."
            )
    environments = read_environments(rows, environment_column)
    classifier = load_checkpoint(checkpoint, device)
    labels = class_ids(rows, label_column, classifier.id2label)
    input_column = classifier.input_column(rows, text_column, image_column)
    predictions = classifier.predict(rows, input_column, batch_size, max_length)
    places = {name: environments.ids == k for k, name in enumerate(environments.names)}
    right = {name: predictions[place] == labels[place] for name, place in places.items()}
    samples = resample_accuracies(right, resamples, seed)
    joint = np.stack(list(samples.values()))
    return Evaluation(
        checkpoint=checkpoint,
        dataset=dataset,
        config=config,
        split=split,
        environment_column=environment_column,
        labels=list(classifier.id2label.values()),
        environments=[
            EnvironmentFigures(
                name,
                int(place.sum()),
                float(right[name].mean()),
                interval(samples[name]),
                confusion_matrix(labels[place], predictions[place], len(classifier.id2label)).tolist(),
            )
            for name, place in places.items()
        ],
        accuracy=float((predictions == labels).mean()),
        mean_accuracy=float(np.mean([rows.mean() for rows in right.values()])),
        mean_interval=interval(joint.mean(0)),
        worst_environment=min(right, key=lambda name: right[name].mean()),
        worst_interval=interval(joint.min(0)),
        confidence=CONFIDENCE,
        resamples=resamples,
        seed=seed,
        versions=versions(),
    )
