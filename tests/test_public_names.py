"""Public names are promised (docs/stability.md): none goes without a deprecation, and none comes unnoticed."""

from __future__ import annotations

import re

import pytest

from hf_metairm.deprecation import GONE, NAMES

from .public_names import LIST, ROOT, public_names, still_moving


def missing(listed: list[str], found: list[str]) -> list[str]:
    """What went without a word."""
    return [name for name in listed if name not in found and name not in {*GONE, *NAMES}]


def test_no_public_name_is_gone_without_a_deprecation():
    gone = missing(LIST.read_text(encoding="utf-8").splitlines(), public_names())
    assert gone == [], (
        f"{', '.join(gone)}: was public and is gone. Keep the old name with a warning (hf_metairm/deprecation.py, "
        "docs/stability.md says for how long). Where it has been warned of for long enough, delete its line in "
        "tests/public_names.txt and name it in CHANGELOG.md."
    )


def test_every_public_name_is_listed():
    new = sorted(set(public_names()) - set(LIST.read_text(encoding="utf-8").splitlines()))
    assert new == [], f"{', '.join(new)}: new, and promised from now on. python -m tests.public_names lists them."


@pytest.mark.parametrize(
    "name",
    [
        "hf_metairm.meta_gradient(inner_learning_rate)",
        "hf_metairm.MetaIRMConfig(std_loss_weight)",
        "hf_metairm.MetaIRMSFTTrainer",
        "hf_metairm.EnvironmentTrainer.results",
        "hf_metairm.evaluation.Evaluation.worst",
        "hf_metairm.selection.half_range",
        "hf-metairm evaluate --label_column",
        "hf-metairm evaluate CHECKPOINT",
        "hf-metairm tune --trials",
        "algorithm: v-rex",
        "config of colored_mnist: binary",
        "selection rule: half-range",
    ],
)
def test_a_name_that_goes_would_be_found(name):
    found = public_names()
    assert name in found
    assert missing([name], [other for other in found if other != name]) == [name]


def test_what_others_promise_is_not_listed():
    found = public_names()
    assert not [name for name in found if re.search(r"\((learning_rate|data_dir|return_dict)\)|_token\b", name)]
    assert "hf-metairm evaluate --bootstrap" not in found  # hidden, and to go


def test_what_is_excepted_is_there():
    reference = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    moving = still_moving()
    assert len(moving) > 5
    for name in moving:
        assert f"::: {name}\n" in reference, name
