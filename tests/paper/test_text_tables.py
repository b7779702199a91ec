"""The protocols of PunctuatedSST-2, on a small folder of sentences of SST-2's form."""

from __future__ import annotations

import csv
import random

import pytest

from hf_metairm.experiments.perceptron import load
from hf_metairm.paper import TABLES, run_of


@pytest.fixture(scope="module")
def sst2(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("sst2"), random.Random(0)
    words = [f"word{k}" for k in range(40)]
    for name, count in (("train", 300), ("dev", 90)):
        with open(folder / f"{name}.tsv", "w", newline="") as handle:
            writer = csv.writer(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            writer.writerow(["sentence", "label"])
            writer.writerows([" ".join(draw.choices(words, k=12)), k % 2] for k in range(count))
    (folder / "vectors.txt").write_text("\n".join(f"{word} {draw.random()} {draw.random()}" for word in words))
    return folder


@pytest.mark.parametrize(("protocol", "rows"), [("paper", 30), ("words", 90)])
def test_each_environment_is_tested_on_what_its_protocol_says(protocol, rows, sst2):
    table = TABLES[f"punctuated_sst2_{protocol}_25"]
    settings = run_of(
        table, table.row("erm"), 0, batch="full", source=str(sst2), word_vectors=str(sst2 / "vectors.txt")
    ).settings
    data = load(
        settings["dataset"],
        settings["dataset_config"],
        0,
        changes=settings["dataset_changes"],
        environments=settings["environments"],
        source=str(sst2),
        word_vectors=str(sst2 / "vectors.txt"),
        expectation=settings.get("expectation", False),
    )
    by_name = {name: data.test["environment"].count(name) for name in set(data.test["environment"])}
    if protocol == "paper":
        assert by_name == dict.fromkeys(table.environments, rows)
    else:  # Every sentence with either mark; the environments are expectations over them.
        assert by_name == {"p=0": rows, "p=1": rows}
