"""Make the two Parquet files that `hf_metairm` carries, from a folder with the original data.

    python dataset_scripts/make_bundled_data.py DATA_FOLDER [OUTPUT_FOLDER]

`DATA_FOLDER` holds the four IDX files of MNIST (gzipped or not) and `movie_review_snippets.tsv` (id, mean valence,
sentence), themselves or in subfolders. The same input and the same version of pyarrow give the same bytes.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hf_metairm.data.digits import find_idx_files, read_idx


# Each digit keeps the role that it has in the full protocol, so that a model trained on the bundled digits may be
# tested on the full MNIST and the reverse: training digits are training digits in both, and so on.
ROLES = {"train": ("train", 0, 7_000), "test": ("train", 50_000, 2_000), "validation": ("t10k", 0, 1_000)}
OUTPUT = Path(__file__).parent.parent / "hf_metairm" / "data" / "bundled"
LIMIT = 4_000_000


def digits_table(folder: Path) -> pa.Table:
    """10,000 of MNIST's 70,000 digits: pixels, digit, role and index (the test file's digits count from 60,000)."""
    files = find_idx_files(folder)
    parts = []
    for role, (name, start, count) in ROLES.items():
        images = read_idx(files[f"{name}-images"])[start : start + count]
        labels = read_idx(files[f"{name}-labels"])[start : start + count]
        index = np.arange(start, start + count, dtype=np.int32) + (60_000 if name == "t10k" else 0)
        parts.append(
            pa.table(
                {
                    "pixels": pa.FixedSizeBinaryArray.from_buffers(
                        pa.binary(784), count, [None, pa.py_buffer(np.ascontiguousarray(images).tobytes())]
                    ),
                    "digit": pa.array(labels, pa.uint8()),
                    "role": pa.array([role] * count),
                    "index": pa.array(index),
                }
            )
        )
    return pa.concat_tables(parts).combine_chunks()


def reviews_table(folder: Path) -> pa.Table:
    """The sentences with their mean human valence from -4 to 4; those with valence 0 have no sign and stay out."""
    path = next(iter(sorted(folder.rglob("movie_review_snippets.tsv"))))
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [(row[2].strip(), float(row[1])) for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    rows = [row for row in rows if row[1] != 0]
    return pa.table(
        {"sentence": [row[0] for row in rows], "valence": pa.array([row[1] for row in rows], pa.float32())}
    )


def main(folder: Path, output: Path) -> None:
    """Write both files and say how large they are."""
    output.mkdir(parents=True, exist_ok=True)
    total = 0
    for name, table in (("mnist", digits_table(folder)), ("movie_reviews", reviews_table(folder))):
        path = output / f"{name}.parquet"
        pq.write_table(
            table,
            path,
            compression="zstd",
            compression_level=22,
            use_dictionary=["role"] if name == "mnist" else False,
            row_group_size=table.num_rows,
            data_page_size=2**26,  # one page: zstd then sees all the digits at once
        )
        total += path.stat().st_size
        print(f"{path}: {table.num_rows} rows, {path.stat().st_size:,} bytes")
    if total > LIMIT:
        raise SystemExit(f"The bundled files take {total:,} bytes; the package allows {LIMIT:,}.")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else OUTPUT)
