import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_metairm.data import PunctuatedSST2
from hf_metairm.data.phrases import sentence_ids
from hf_metairm.data.sentences import drop_final_punctuation, roles_from_files

from .checks import check_construction, columns


@pytest.mark.parametrize("config", [config.name for config in PunctuatedSST2.BUILDER_CONFIGS])
def test_every_config_is_what_it_says(bundled, config):
    builder = bundled("punctuated_sst2", config)
    check_construction(builder)
    dataset = builder.as_dataset()
    train, validation = (7940, 980) if config.startswith("long_") else (8066, 1000)
    assert {name: split.num_rows for name, split in dataset.items()} == {
        "train": train,
        "validation": validation,
        "test": 13_500,
    }
    stripped = {}
    for name, split in dataset.items():
        values = columns(split)
        for sentence, mark in zip(values["sentence"], values["punctuation"]):
            assert sentence == (drop_final_punctuation(sentence) + f" {mark}").rstrip()
        stripped[name] = [drop_final_punctuation(sentence).lower() for sentence in values["sentence"]]
    assert len(set(stripped["train"])) == train
    assert len(set(stripped["test"])) == 1500
    assert not set(stripped["train"]) & set(stripped["test"])
    assert not set(stripped["train"]) & set(stripped["validation"])
    assert not set(stripped["test"]) & set(stripped["validation"])


def test_rows_of_a_config_have_as_many_words_as_it_says():
    builder = PunctuatedSST2("clean", source="bundled", min_words=12)
    builder.download_and_prepare()
    for split, least in (("train", 12), ("validation", 12), ("test", 1)):
        words = [len(drop_final_punctuation(text).split()) for text in builder.as_dataset(split)["sentence"]]
        assert min(words) == least
    with pytest.raises(ValueError, match="min_words must be an integer of at least 0, not -1"):
        PunctuatedSST2("clean", min_words=-1)


def test_a_test_sentence_stands_in_one_environment_where_that_is_asked_for():
    builder = PunctuatedSST2("noise_25", source="bundled", test_once=True, test_environments=(0.1, 0.2, 0.9))
    builder.download_and_prepare()
    values = columns(builder.as_dataset("test"))
    assert len(set(values["sentence"])) == len(values["sentence"]) == 1500
    assert [int((values["environment"] == f"p={p}").sum()) for p in (0.1, 0.2, 0.9)] == [500, 500, 500]
    check_construction(builder)


def test_phrases_have_the_number_of_their_sentence():
    whole = "it is a very long film about a man and his dog"
    texts = ["a man and his", whole, "It is a very long film", "his dog", "a man and", "a man and his house", whole]
    # A phrase of two sentences belongs to the longest; three words are no phrase; words are not cut.
    assert sentence_ids(texts).tolist() == [1, 1, 1, 3, 4, 5, 1]
    assert sentence_ids(["b a very long fil", "a very long film"]).tolist() == [0, 1]
    assert sentence_ids([]).tolist() == []


def test_vanilla_is_the_same_without_the_marks(bundled):
    left, right = (columns(bundled("punctuated_sst2", c).as_dataset("train")) for c in ("noise_25", "vanilla_25"))
    assert all((left[name] == right[name]).all() for name in ("label", "clean_label", "environment"))
    assert [drop_final_punctuation(s) for s in left["sentence"]] == right["sentence"].tolist()
    assert set(right["punctuation"]) == {""}


def test_the_bundled_sentences_are_never_called_sst2(bundled):
    info = bundled("punctuated_sst2", "noise_25").info
    assert "movie-review sentences of Hutto & Gilbert (2014), which are not SST-2" in info.description
    assert info.license == "MIT"


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("A fine film .", "A fine film"),
        ("Really?!...", "Really"),
        ("He said ''no.''", "He said ''no"),
        ("as it is", "as it is"),
        ("It's (almost) over)", "It's (almost) over)"),
        ("naïve – ", "naïve"),
        ("...", ""),
    ],
)
def test_final_punctuation(text, stripped):
    assert drop_final_punctuation(text) == stripped


def _write_sst2(folder, kind):
    """A stand-in with SST-2's own files: long sentences, and phrases of them as rows of their own."""
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(400)]
    sentences = [" ".join(rng.choice(words, 14)) for _ in range(300)]
    phrases = [" ".join(sentence.split()[2:7]) for sentence in sentences]
    train = [(text, i % 2) for i, text in enumerate([*sentences, *phrases])]
    test = [(" ".join(rng.choice(words, 12)) + " .", i % 2) for i in range(80)]
    for name, rows in (("train", train), ("validation", test)):
        if kind == "parquet":
            table = pa.table({"sentence": [row[0] for row in rows], "label": [row[1] for row in rows]})
            pq.write_table(table, folder / f"{name}-00000-of-00001.parquet")
        else:
            with (folder / {"train": "train.tsv", "validation": "dev.tsv"}[name]).open("w", encoding="utf-8") as file:
                writer = csv.writer(file, delimiter="\t")
                writer.writerow(["sentence", "label"])
                writer.writerows(rows)
    return test


@pytest.mark.parametrize("kind", ["parquet", "tsv"])
def test_sst2_folders(tmp_path, kind):
    test = _write_sst2(tmp_path, kind)
    builder = PunctuatedSST2("clean", source=tmp_path, cache_dir=tmp_path / "cache")
    builder.download_and_prepare()
    dataset = builder.as_dataset()
    assert dataset["test"].num_rows == 9 * len(test)  # all of the validation set, in every environment
    assert {drop_final_punctuation(s) for s in dataset["test"]["sentence"]} == {s[:-2] for s, _ in test}
    # No trained sentence is a phrase of a held-out one, or contains one.
    held_out = [drop_final_punctuation(sentence) for sentence in dataset["validation"]["sentence"]]
    assert len(held_out) == 60
    for sentence in dataset["train"]["sentence"]:
        assert not any(drop_final_punctuation(sentence) in other for other in held_out)
    assert "SST-2" not in builder.info.description


def test_sst2_is_taken_from_among_the_tasks_of_glue(tmp_path):
    for task in ("CoLA", "SST-2", "QNLI"):
        (tmp_path / task).mkdir()
        _write_sst2(tmp_path / task, "tsv")
    (tmp_path / "CoLA" / "train.tsv").write_text("gj04\t1\t\tOther sentences.\n")
    builder = PunctuatedSST2("clean", source=tmp_path, cache_dir=tmp_path / "cache")
    builder.download_and_prepare()
    assert builder.as_dataset("test").num_rows == 9 * 80
    (tmp_path / "SST-2").rename(tmp_path / "STS")
    with pytest.raises(ValueError, match=r"in several folders \(.*CoLA.*\): name the one of sst2"):
        PunctuatedSST2("clean", source=tmp_path, cache_dir=tmp_path / "cache").download_and_prepare()


def test_one_file_of_sentences(tmp_path):
    rows = [f"sentence number {i} is here .\t{i % 2}" for i in range(200)]
    (tmp_path / "mine.tsv").write_text("\n".join(["sentence\tlabel", *rows]), encoding="utf-8")
    builder = PunctuatedSST2("clean", source=tmp_path, cache_dir=tmp_path / "cache")
    builder.download_and_prepare()
    assert {name: split.num_rows for name, split in builder.as_dataset().items()} == {
        "train": 150,
        "validation": 20,
        "test": 270,
    }
    assert builder.data_source.title == "the folder's mine.tsv"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"sentence\tlabel\nfine\tgood\n", "neither a TSV file with the header"),
        (b"sentence\tlabel\nfine\t7\n", r"labels must be 0 \(negative\) or 1 \(positive\)"),
        (b"\xff\xfe\x00bad", "damaged or not a UTF-8 TSV file"),
        (b"sentence\tlabel\nfine\t1\n", "1 labelled sentences; at least 20 are needed"),
    ],
)
def test_damaged_sentences_are_refused_with_one_sentence(tmp_path, content, sentence):
    (tmp_path / "mine.tsv").write_bytes(content)
    builder = PunctuatedSST2(source=tmp_path, cache_dir=tmp_path / "cache")
    with pytest.raises(ValueError, match=sentence):
        builder.download_and_prepare()


def test_duplicates_and_unlabelled_rows_are_dropped(tmp_path):
    rows = [("Same !", 1), ("same .", 0), ("", 1), ("...", 0), ("hidden", -1)] + [
        (f"text {i}", i % 2) for i in range(40)
    ]
    pq.write_table(pa.table({"sentence": [r[0] for r in rows], "label": [r[1] for r in rows]}), tmp_path / "x.parquet")
    roles = roles_from_files({"sentences": tmp_path / "x.parquet"})
    assert sum(len(role) for role in roles.values()) == 41
