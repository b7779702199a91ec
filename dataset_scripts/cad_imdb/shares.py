"""How the shares of revised reviews were chosen: what words alone reach in each test environment.

    python dataset_scripts/cad_imdb/shares.py FOLDER

For each choice of training environments and each of five seeds, a logistic regression on which words a review has
(those of three training reviews or more, C = 0.1; needs scikit-learn) is fitted to all training rows and judged in
every test environment. No validation rows are used and nothing is tuned. Takes a minute on one core.
"""

from __future__ import annotations

import sys
import tempfile

import datasets
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from hf_metairm.data import CADIMDb


SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0)  # of the test environments
CHOICES = ((0.0, 0.1), (0.0, 0.2), (0.1, 0.2), (0.1, 0.3), (0.2, 0.4), (0.5,), (1.0, 0.9), (1.0, 0.8), (0.9, 0.7))
SEEDS = range(5)


def accuracies(train: datasets.Dataset, test: datasets.Dataset) -> list[float]:
    """In each test environment, in the order of `SHARES`."""
    words = CountVectorizer(binary=True, min_df=3)
    model = LogisticRegression(C=0.1, max_iter=1000)
    model.fit(words.fit_transform(train["sentence"][:]), train["label"][:])
    right = model.predict(words.transform(test["sentence"][:])) == np.array(test["label"][:])
    names = np.array(test["environment"][:])
    return [float(right[names == f"revised={share:g}"].mean()) for share in SHARES]


def main(folder: str) -> None:
    """Print a Markdown table: mean ± standard deviation over the seeds, in per cent."""
    datasets.disable_progress_bars()
    print("| trained on | " + " | ".join(f"revised={share:g}" for share in SHARES) + " |")
    print("|---" * (len(SHARES) + 1) + "|")
    with tempfile.TemporaryDirectory() as cache:
        for shares in CHOICES:
            found = []
            for seed in SEEDS:
                builder = CADIMDb(
                    source=folder, cache_dir=cache, environments=shares, test_environments=SHARES, seed=seed
                )
                builder.download_and_prepare()
                found.append(accuracies(builder.as_dataset("train"), builder.as_dataset("test")))
            means, spread = 100 * np.mean(found, axis=0), 100 * np.std(found, axis=0, ddof=1)
            cells = [f"{mean:.1f} ± {sd:.1f}" for mean, sd in zip(means, spread)]
            print(f"| {', '.join(f'{share:g}' for share in shares)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
