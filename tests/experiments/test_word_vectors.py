"""A file of word vectors that is none is refused in one sentence."""

from __future__ import annotations

import pytest

from hf_metairm.experiments.perceptron import load


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a word and its numbers stand on each line, and here are none"),
        (b"film 1 2\n", "here are none"),
        (b"film 1 2\ncaf\xe9 1 2\n", "line 2: the byte 0xE9 is not UTF-8"),
        (bytes(range(256)), "is no text but a binary file"),
        (b"film 1 2\na 1 2\nplot 1\n", "Line 3 of .* is no word with 2 numbers"),
        (b"qwxz 1 2\nzxwq 1 2\n", "has none of the"),
    ],
)
def test_what_is_no_file_of_word_vectors(content, message, tmp_path):
    file = tmp_path / "vectors.txt"
    file.write_bytes(content)
    few = {"examples_per_environment": 30, "test_environments": (0.9,)}
    with pytest.raises(ValueError, match=message):
        load("punctuated_sst2", "clean", 0, changes=few, source="bundled", word_vectors=str(file))
