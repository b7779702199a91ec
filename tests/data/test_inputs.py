"""Every input of `inputs.py` through the command line and through `load_own`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hf_metairm.cli import app
from hf_metairm.data import ReadOptions, load_own, open_splits

from .inputs import INPUTS, LABELS, READ, REFUSED, SITES, TEXTS


def look(entry, folder):
    """Exit status and output of `inspect`, with the findings where there are any."""
    path = folder / entry.file
    entry.make(path)
    arguments = ["inspect", str(path), "--environment_column", "site", "--json", *entry.arguments]
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), entry.what
    return path, result


def options(entry):
    return ReadOptions(entry.missing, {"--quoted": True, "--not_quoted": False}.get((*entry.arguments, "")[0]))


@pytest.mark.parametrize("entry", READ, ids=lambda entry: entry.what)
def test_what_is_read(entry, tmp_path):
    path, result = look(entry, tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    texts = entry.texts or TEXTS
    sites, labels = entry.sites or sorted(set(SITES)), entry.labels or sorted(set(LABELS))
    assert [environment["name"] for environment in found["environments"]] == sites
    assert list(found["environments"][0]["labels"]) == labels
    assert sum(environment["rows"] for environment in found["environments"]) == len(texts)
    if path.is_file():
        assert f"{path}: {len(texts):,} rows (" in result.stderr
    said = []
    rows = open_splits(str(path), options=options(entry), say=said.append)
    assert rows["train"]["text"][:] == texts
    if len(texts) < 4:
        return
    own = load_own(
        str(path),
        text_column="text",
        label_column="label",
        environment_column="site",
        unseen_environments=sites[:1],
        test_share=0.5,
        options=options(entry),
    )
    assert sites[0] not in own.train["environment"][:]
    assert sites[0] in own.test["environment"][:] or "test" in rows
    assert own.train.features == own.test.features
    assert own.train.features["label"].names == labels


@pytest.mark.parametrize("entry", REFUSED, ids=lambda entry: entry.what)
def test_what_is_refused(entry, tmp_path):
    path, result = look(entry, tmp_path)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr
    with pytest.raises(ValueError, match=entry.refused):
        raise ValueError(errors[0])
    with pytest.raises((ValueError, FileNotFoundError)):
        load_own(
            str(path), text_column="text", label_column="label", environment_column="site", options=options(entry)
        )


def test_there_are_enough_of_them():
    assert len(INPUTS) >= 60
    assert len({entry.what for entry in INPUTS}) == len({entry.file for entry in INPUTS}) == len(INPUTS)
