"""Reading labelled sentences: SST-2 from Parquet or TSV, or the movie reviews that the package carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa

from .delimited import read_delimited
from .draws import permutation
from .files import read_parquet
from .phrases import sentence_ids
from .sources import files_together
from .textfiles import open_text


TEST_ROWS, VALIDATION_ROWS = 1_500, 1_000
LONG = 10  # words: only sentences at least this long are held out of SST-2's training phrases
_FINAL_PUNCTUATION = re.compile(r"[\s.!?…,;:'\"`\-–—]+$")


@dataclass(frozen=True)
class Sentences:
    """Sentences without their final punctuation.

    Args:
        texts (`list[str]`): the sentences, or phrases of them.
        labels (`np.ndarray`): int64 of shape (n,): 0 negative, 1 positive.
        ids (`np.ndarray`): int64 of shape (n,): which sentence a row is of; see [`sentence_ids`].
    """

    texts: list[str]
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Sentences:
        """The sentences of these rows, in this order."""
        return Sentences([self.texts[row] for row in rows], self.labels[rows], self.ids[rows])

    def at_least(self, words: int) -> Sentences:
        """Those of so many words or more."""
        return self.take(np.array([k for k, text in enumerate(self.texts) if len(text.split()) >= words], dtype=int))


def drop_final_punctuation(text: str) -> str:
    """Strip white space, sentence marks, dashes and quotation marks from the end."""
    return _FINAL_PUNCTUATION.sub("", text)


def roles_from_files(files: dict[str, Path]) -> dict[str, Sentences]:
    """Read the sentences of the roles `"train"`, `"validation"` and `"test"`, no sentence in two of them.

    From SST-2 (files `"train"` and `"validation"`), all rows of its validation set are the test sentences, since
    the labels of its test set are not public; from one file of sentences (`"bundled"` or `"sentences"`), 1,500 are
    tested and 1,000 validated on (15 and 10 % of a file with fewer than 10,000). The draw does not depend on the
    dataset's seed: whatever the seed, no test sentence is ever trained on.

    Raises:
        `ValueError`: a file is damaged, lacks a column, or is too small.
    """
    if "train" in files:
        train, test = (_clean(files[role], *_read(files[role])) for role in ("train", "validation"))
        seen = {text.lower() for text in test.texts}
        train = train.take(np.array([i for i, text in enumerate(train.texts) if text.lower() not in seen]))
        train, validation = _hold_out_phrases(train)
        return {"train": train, "validation": validation, "test": test}
    path = files.get("bundled") or files["sentences"]
    pool = _clean(path, *_read(path))
    if len(pool) < 20:
        raise ValueError(f"{path} has {len(pool)} labelled sentences; at least 20 are needed.")
    order = permutation(0, "sentences", "partition", n=len(pool))
    num_test, num_validation = (
        min(most, int(len(pool) * part)) for most, part in ((TEST_ROWS, 0.15), (VALIDATION_ROWS, 0.1))
    )
    held_out = num_test + num_validation
    return {
        "train": pool.take(order[held_out:]),
        "validation": pool.take(order[num_test:held_out]),
        "test": pool.take(order[:num_test]),
    }


def _clean(path: Path, texts: list[str], labels: np.ndarray) -> Sentences:
    """Drop final punctuation, unlabelled rows, empty rows, and all but the first of equal sentences."""
    if not set(np.unique(labels).tolist()) <= {-1, 0, 1}:
        raise ValueError(f"{path}: labels must be 0 (negative) or 1 (positive).")
    stripped = [drop_final_punctuation(text) for text in texts]
    rows, seen = [], set()
    for row, text in enumerate(stripped):
        if text and labels[row] >= 0 and text.lower() not in seen:
            seen.add(text.lower())
            rows.append(row)
    texts = [stripped[row] for row in rows]
    return Sentences(texts, labels[rows], sentence_ids(texts))


def _read(path: Path) -> tuple[list[str], np.ndarray]:
    if path.suffix == ".parquet":
        if path.name == "movie_reviews.parquet":
            table = read_parquet(path, ["sentence", "valence"])
            return table["sentence"].to_pylist(), _signs(table["valence"].to_numpy())
        table = read_parquet(path, ["sentence", "label"])
        _check_names(path, table.schema)
        return table["sentence"].to_pylist(), table["label"].to_numpy().astype(np.int64)
    try:
        with open_text(path) as lines:
            named = {"sentence", "label"} <= set(next(lines, "").rstrip("\r\n").split("\t"))
        table = read_delimited(path, "\t", quoted=False, header=None if named else ["id", "valence", "sentence"])
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or not a UTF-8 TSV file ({error}).") from error
    texts = table["sentence"].to_pylist()
    try:
        if named:
            return texts, np.array([int(label) for label in table["label"].to_pylist()])
        return texts, _signs(np.array([float(valence) for valence in table["valence"].to_pylist()]))
    except ValueError as error:
        raise ValueError(
            f"{path} is neither a TSV file with the header 'sentence<TAB>label' nor one with the columns id, valence "
            f"and sentence ({error})."
        ) from error


def _check_names(path: Path, schema: pa.Schema) -> None:
    """Other tasks of GLUE have the same columns; what `datasets` wrote says what its classes are called."""
    names = getattr(datasets.Features.from_arrow_schema(schema)["label"], "names", None)
    if names and [name.casefold() for name in names] != ["negative", "positive"]:
        raise ValueError(
            f"{path} has the classes {', '.join(names)}, where SST-2 has negative and positive: name SST-2's own "
            "folder."
        )


def _signs(valence: np.ndarray) -> np.ndarray:
    return np.where(valence == 0, -1, (valence > 0).astype(np.int64))


def _hold_out_phrases(pool: Sentences) -> tuple[Sentences, Sentences]:
    """Hold out long sentences of SST-2's training set, with all that overlaps them.

    The training set of SST-2 has phrases of its sentences as rows of their own. A row that contains a held-out
    sentence, or (from three words on) is contained in one, is neither trained nor validated on.
    """
    words = [text.lower().split() for text in pool.texts]
    order = permutation(0, "sentences", "partition", n=len(pool))
    wanted = min(VALIDATION_ROWS, len(pool) // 10)
    held = [row for row in order if len(words[row]) >= LONG][:wanted]
    if len(held) < wanted:
        held = list(order[:wanted])
    whole = {" ".join(words[row]) for row in held}
    inside = {span for row in held for span in _spans(words[row], 3)}
    train = [
        row
        for row in range(len(pool))
        if " ".join(words[row]) not in inside and not any(span in whole for span in _spans(words[row], LONG))
    ]
    train = [row for row in train if " ".join(words[row]) not in whole]
    return pool.take(np.array(train)), pool.take(np.array(held))


def _spans(words: list[str], shortest: int) -> list[str]:
    return [
        " ".join(words[start:stop]) for start in range(len(words)) for stop in range(start + shortest, len(words) + 1)
    ]


def find_files(folder: Path) -> tuple[dict[str, Path], str, str] | None:
    """Find SST-2 (Parquet or GLUE's TSV), the movie reviews, or one TSV or Parquet file of sentences in `folder`."""
    unknown = "see the source of your files"
    for train, validation in (("train-*.parquet", "validation-*.parquet"), ("train.tsv", "dev.tsv")):
        files = files_together(folder, {"train": train, "validation": validation}, "sst2")
        if len(files) == 2:
            return files, f"the folder's {files['train'].name} and {files['validation'].name}", unknown
    for name in ("movie_review_snippets.tsv", "movie_reviews.parquet"):
        for path in sorted(folder.rglob(name)):
            return {"sentences": path}, MOVIE_REVIEWS[0], MOVIE_REVIEWS[1]
    single = [path for pattern in ("*.tsv", "*.parquet") for path in sorted(folder.glob(pattern))]
    if len(single) == 1:
        return {"sentences": single[0]}, f"the folder's {single[0].name}", unknown
    return None


MOVIE_REVIEWS = ("movie-review sentences of Hutto & Gilbert (2014), which are not SST-2", "MIT")
