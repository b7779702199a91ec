"""
The tables on PunctuatedSST-2, in three protocols that must not be mixed.

- *paper*: as in the studies. A model on frozen word vectors; each of SST-2's 872 development rows stands in one of the
  three test environments; settings are chosen with the unseen environment in view.
- *words*: the same model. No sentence is trained and tested on, and a test environment is the expectation over label
  noise and mark, of all 872 rows. `hf-metairm search` shows what rules choose that never see the unseen environment.
- *encoder*: as *words*, with a head on a fine-tuned encoder, in two stages; see [`TwoStages`].
"""

from __future__ import annotations

from typing import Any

from ..experiments.search import STEPS
from . import published
from .rows import Row, Table


WITHOUT = {"punctuated": False}
PROTOCOLS = {
    "paper": "as published: word vectors, thirds of the development rows, settings chosen with p = 0.9 in view",
    "words": "word vectors, expectation over noise and mark",
    "encoder": "a fine-tuned encoder, settings chosen without p = 0.9, expectation over noise and mark",
}
PROTOCOLS_EXPLAINED = (
    "Three protocols; figures of one are not comparable with those of another. The published ones are of the first.",
    "- *paper*, as in the studies: a model on frozen word vectors, a third of the 872 development sentences in each "
    "test environment, settings chosen with p = 0.9 in view.\n"
    "- *words*: the same model with the study's settings, beside it what rules choose that never see p = 0.9; test "
    "environments are the expectation over label noise and mark, of all 872 sentences.\n"
    "- *encoder*: a head on a fine-tuned encoder, settings chosen by a rule that never sees p = 0.9, the same "
    "expectation.",
)


def _perceptron(algorithm: str, **fields: Any) -> Row:
    own = {name: fields.pop(name) for name in ("steps", "hidden_size") if name in fields}
    return Row(algorithm, algorithm, fields, **own)


def _head(algorithm: str, **fields: Any) -> Row:
    """A head of 64 units; what is not said here is as in `hf_metairm.experiments.heads`."""
    return Row(algorithm, algorithm, fields, hidden_size=64, steps=fields.pop("max_steps", 300))


def _reference(row: Row) -> Row:
    return Row(
        "erm, no cue",
        row.algorithm,
        row.fields,
        hidden_size=row.hidden_size,
        steps=row.steps,
        dataset_changes=WITHOUT,
        reference=True,
    )


def _table(protocol: str, noise: bool, rows: tuple[Row, ...], **more: Any) -> Table:
    config = "noise_25" if noise else "clean"
    return Table(
        f"punctuated_sst2_{protocol}{'_25' if noise else ''}",
        f"PunctuatedSST-2, {'label noise 0.25' if noise else 'no label noise'}: {PROTOCOLS[protocol]}",
        "punctuated_sst2",
        config if protocol != "encoder" else f"long_{config}",
        rows,
        **more,
    )


# Those of the study's code, but for V-REx, which it has not: IRMv1's, with the weight of the REx code. ERM's leave
# most runs without the cue at chance; more steps than the reference's learn the label noise.
_STUDY = {"learning_rate": 1e-3, "l2_regularization": 1e-4, "hidden_size": 300}
ON_WORDS = (
    _perceptron("erm", learning_rate=0.01, l2_regularization=0.01, hidden_size=300),
    _perceptron("irmv1", **_STUDY, penalty_anneal_steps=100, penalty_weight=7500.0),
    _perceptron("v-rex", **_STUDY, penalty_anneal_steps=100, penalty_weight=4e4),
    _perceptron("meta-irm", **_STUDY, penalty_anneal_steps=100, std_loss_weight=100.0, inner_learning_rate=0.1),
    _reference(_perceptron("erm", learning_rate=1e-3, l2_regularization=1e-3, hidden_size=300, steps=101)),
)

# What `hf-metairm tune punctuated_sst2 --dataset_config long_noise_25` chose by the rule worst-group on seed 0, to
# three digits; its trials are in docs/reproduction/studies.
_PLAIN = {"learning_rate": 2e-3, "l2_regularization": 1e-4, "penalty_anneal_steps": 60}
_SHORT = {"learning_rate": 3.54e-3, "l2_regularization": 6.22e-3, "max_steps": 172}
_ERM = _head("erm", learning_rate=1.08e-3, l2_regularization=6.8e-4, max_steps=100)
ENCODER_25 = (
    _ERM,
    _head("irmv1", **_PLAIN, penalty_weight=1e3),
    _head("mm-rex", **_SHORT, penalty_anneal_steps=24, penalty_weight=28.7),
    _head("v-rex", **_PLAIN, penalty_weight=1e3),
    _head("meta-irm", **_SHORT, penalty_anneal_steps=46, inner_learning_rate=8e-3, std_loss_weight=26.3),
    _reference(_ERM),
)
# By the same rule, of --dataset_config long_clean: the best five of twenty trials on three divisions of the rows.
_ERM_CLEAN = _head("erm", learning_rate=1.34e-3, l2_regularization=4.43e-5, max_steps=192)
ENCODER = (
    _ERM_CLEAN,
    _head("irmv1", **_PLAIN, penalty_weight=1e3),
    _head(
        "mm-rex",
        learning_rate=2.02e-3,
        l2_regularization=4.61e-4,
        max_steps=203,
        penalty_anneal_steps=37,
        penalty_weight=1.17e3,
    ),
    _head("v-rex", **_PLAIN, penalty_weight=1e3),
    _head(
        "meta-irm",
        learning_rate=6.57e-4,
        l2_regularization=6.34e-5,
        max_steps=191,
        penalty_anneal_steps=43,
        inner_learning_rate=2.46e-3,
        std_loss_weight=8.55e3,
    ),
    _reference(_ERM_CLEAN),
)

_THIRDS = {"test_once": True, "test_environments": [0.1, 0.2, 0.9]}
TEXT_TABLES = (
    _table("paper", True, ON_WORDS, published=published.PUNCTUATED_NOISE, dataset_changes=_THIRDS, searched=STEPS),
    _table("paper", False, ON_WORDS, published=published.PUNCTUATED_CLEAN, dataset_changes=_THIRDS, searched=STEPS),
    _table("words", True, ON_WORDS, expectation=True, searched=STEPS),
    _table("words", False, ON_WORDS, expectation=True, searched=STEPS),
    _table("encoder", True, ENCODER_25, expectation=True, model="two stages"),
    _table("encoder", False, ENCODER, expectation=True, model="two stages"),
)
