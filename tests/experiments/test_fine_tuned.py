"""A table's rows on a fine-tuned encoder: what is shared, what is kept apart, and what a result says."""

from __future__ import annotations

import csv
import random

import pytest

from hf_metairm.experiments import fine_tuned, two_stages
from hf_metairm.experiments.fine_tuned import train_fine_tuned
from hf_metairm.experiments.stage_one import StageOneArguments
from hf_metairm.paper import TABLES, run_of
from hf_metairm.paper.rows import changed

from ..models.tiny import save_tiny_encoder


@pytest.fixture
def sst2(tmp_path):
    """A folder as SST-2's: sentences of fourteen words, and phrases of them as rows of their own."""
    draw = random.Random(0)
    words = {0: ["dull", "awful", "tired", "flat"], 1: ["fine", "lovely", "bright", "warm"]}
    for name, count in (("train", 120), ("dev", 20)):
        with open(tmp_path / f"{name}.tsv", "w", newline="") as handle:
            writer = csv.writer(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            writer.writerow(["sentence", "label"])
            for k in range(count):
                text = [
                    draw.choice(words[k % 2]) if draw.random() < 0.4 else f"{name}{draw.random():.6f}"
                    for _ in range(14)
                ]
                writer.writerow([" ".join(text), k % 2])
                if name == "train":
                    writer.writerow([" ".join(text[3:9]), k % 2])
    return tmp_path


def test_rows_share_an_encoder_and_a_draw_has_its_own(sst2, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_METAIRM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fine_tuned, "ENCODER", str(save_tiny_encoder(tmp_path / "encoder")))
    share = StageOneArguments(stage_one_share=0.34, validation_share=0.16, head_units=6, stage_one_epochs=2)
    monkeypatch.setattr(fine_tuned, "STAGE_ONE", share)
    divided = []
    divide_alike = two_stages.divide_alike

    def remembered(ids, shares, seed, groups):
        parts = divide_alike(ids, shares, seed, groups)
        divided.append({name: {groups[k] for k in part} for name, part in parts.items()})
        return parts

    monkeypatch.setattr(two_stages, "divide_alike", remembered)
    fine_tuned._features.cache_clear()
    table = TABLES["punctuated_sst2_encoder_25"]
    settings = {"batch": "full", "source": str(sst2), "word_vectors": None}

    def carried_out(row, seed):
        run = run_of(table, changed(table.row(row), hidden_size=6, steps=12), seed, **settings)
        place = tmp_path / "runs" / run.key
        place.mkdir(parents=True)
        return train_fine_tuned(run, place, lambda step: None, source=str(sst2), device="cpu")

    erm, other = carried_out("erm", 0), carried_out("meta-irm", 0)
    trained = list((tmp_path / "cache" / "stage_one").iterdir())
    assert len(trained) == 1, "the encoder is fine-tuned once for a draw"
    carried_out("erm", 1)
    assert len(list((tmp_path / "cache" / "stage_one").iterdir())) == 2

    for parts in divided:  # No sentence, whose phrases are in both training environments, stands in two parts.
        names = list(parts)
        assert len(names) == 3
        assert sum(len(parts[name]) for name in names) == len(set.union(*parts.values()))
    for result in (erm, other):
        assert set(result["test"]) == {"p=0.1", "p=0.2", "p=0.9"}
        assert {found["rows"] for found in result["test"].values()} == {20}
        assert all(found["standard_error"] > 0 for found in result["test"].values())
        assert set(result["validation"]) == {"p=0.1", "p=0.2"}
        assert result["steps"] == 12
    # The expectation is linear in p.
    low, middle, high = (erm["test"][name]["accuracy"] for name in ("p=0.1", "p=0.2", "p=0.9"))
    assert high - low == pytest.approx(8 * (middle - low))
    assert erm["settings"]["source"] == "folder"
    assert "batch" in erm["settings"]
    assert run_of(table, table.row("erm"), 0, **{**settings, "batch": 500}).settings["batch"] == "full"
    fine_tuned._features.cache_clear()
