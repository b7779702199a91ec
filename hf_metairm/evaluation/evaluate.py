"""`evaluate_checkpoint`: from the names of a checkpoint and a dataset to the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import datasets
import numpy as np
from transformers import EvalPrediction

from ..data.words import check_columns, read_words
from ..data.words import text_column as as_texts
from ..deprecation import ignores
from ..metrics import ACCURACY, metric_named, share_right
from ..provenance import versions
from .checkpoint import load_checkpoint
from .files import read_seen
from .intervals import CONFIDENCE, of_mean, of_worst, wilson
from .labels import class_ids
from .result import EnvironmentScores, Evaluation


@ignores(
    resamples="hf_metairm.evaluation.evaluate_checkpoint(resamples)",
    seed="hf_metairm.evaluation.evaluate_checkpoint(seed)",
)
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
    labels: Sequence[str] | None = None,
    max_length: int | None = None,
    batch_size: int = 64,
    device: str | None = None,
    compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
) -> Evaluation:
    """
    Evaluate a classifier in each environment of a dataset.

    Args:
        checkpoint (`str`): a folder or a name on the Hub; a text or image classifier, or a `peft` adapter of one.
        rows (`datasets.Dataset`): has the columns.
        dataset (`str`), config (`str`), split (`str`, *optional*): what the rows are called in the result.
        environment_column (`str`, *optional*, defaults to `"environment"`): names each row's environment, see
            [`read_words`].
        label_column (`str`, *optional*, defaults to `"label"`): the class, see [`class_ids`].
        text_column (`str`, *optional*): by default `sentence` or `text`.
        image_column (`str`, *optional*): by default `image` or `img`.
        labels (`Sequence[str]`, *optional*): what the model's classes are called, in their order; by default what its
            config or its card says.
        max_length (`int`, *optional*): tokens of a text, longer ones are cut; by default what the model can take.
        batch_size (`int`, *optional*, defaults to 64): rows at a time.
        device (`str`, *optional*): such as `"cpu"` or `"cuda:1"`; a GPU if there is one, by default.
        compute_metrics (`Callable`, *optional*): as a Trainer's: from logits and class ids to metrics by name, called
            for all rows and for each environment's; the first metric is what is compared. By default the accuracy.

    Raises:
        ValueError: what is given does not fit together; the message says how to mend it.
        OSError: the checkpoint cannot be read or reached.
    """
    if not len(rows):
        raise ValueError(f"There are no rows in the split {split!r} of {dataset or 'the dataset'}.")
    if batch_size < 1:
        raise ValueError(f"--batch_size {batch_size}: give a number from 1 on.")
    rows = rows.with_format(None)  # numpy's or torch's values are no texts, images or names
    check_columns(rows, environment_column=environment_column, label_column=label_column)
    codes, names = read_words(rows, environment_column)
    present, environments = np.unique(codes, return_inverse=True)
    names = [names[code] for code in present]  # those of a `ClassLabel` may have no rows
    classifier = load_checkpoint(checkpoint, device, labels)
    classes = len(classifier.labels)
    ids = class_ids(rows, label_column, dict(enumerate(classifier.labels)))
    column = classifier.input_column(rows, text_column, image_column)
    logits = classifier.logits(rows, column, batch_size, max_length)
    seen = read_seen(checkpoint) if classifier.kind == "text" else None  # What of these rows it was trained on.
    texts = np.array(as_texts(rows.select_columns([column]), column)[column][:] if seen else [], dtype=object)
    unseen = classifier.record.unseen(names, environment_column)

    predictions = logits.argmax(-1)

    def scores(name: str, place: np.ndarray) -> EnvironmentScores:
        if compute_metrics is None:
            metrics = {ACCURACY.name: share_right(predictions[place], ids[place])}
        else:
            metrics = dict(compute_metrics(EvalPrediction(predictions=logits[place], label_ids=ids[place])))
        first, n = next(iter(metrics)), int(place.sum())
        pairs = ids[place] * classes + predictions[place]
        return EnvironmentScores(
            name,
            n,
            metrics,
            wilson(metrics[first], n) if metric_named(first).share_of_rows else None,
            float(np.bincount(ids[place]).max() / n),
            unseen.get(name),
            np.bincount(pairs, minlength=classes**2).reshape(classes, classes).tolist(),
            None if seen is None else _share(seen.among(texts[place])),
        )

    found = [scores(name, environments == k) for k, name in enumerate(names)]
    overall = scores("", np.ones(len(rows), bool)).metrics
    metric = metric_named(next(iter(overall)))
    values = {e.name: e.metrics[metric.name] for e in found}
    shares = (list(values.values()), [e.rows for e in found])
    return Evaluation(
        checkpoint=checkpoint,
        dataset=dataset,
        config=config,
        split=split,
        environment_column=environment_column,
        labels=classifier.labels,
        environments=found,
        overall=overall,
        mean=float(np.mean(shares[0])),
        mean_interval=of_mean(*shares) if metric.share_of_rows else None,
        worst_environment=metric.worst(values),
        worst_interval=of_worst(*shares) if metric.share_of_rows else None,
        confidence=CONFIDENCE,
        versions=versions(),
        algorithm=classifier.record.algorithm,
    )


def _share(found: np.ndarray) -> float | None:
    return float(found.mean()) if len(found) else None
