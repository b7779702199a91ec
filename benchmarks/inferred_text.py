"""
The part `text` of `inferred_environments.py`: the quick start's sentences, and revised reviews (`cad_imdb`).

    python benchmarks/inferred_environments.py text --source counterfactually-augmented-data/sentiment
    python benchmarks/inferred_environments.py tables    # those of docs/infer_environments.md

All training rows are pooled and divided anew, by a regression on words or on what the encoder puts out, both fitted by
ERM. Then heads are trained with the known environments and with the inferred ones: the same encoder, rows, first
weights and settings, which are those of the quick start and of `docs/benchmarks/cad_imdb.jsonl`, chosen for the known
environments. The encoder of the quick start was fine-tuned by ERM, to which two known environments of the same size
are one pool.

A line a result in `docs/benchmarks/inferred_text.jsonl`; the same command goes on where it was interrupted.
"""

from __future__ import annotations

import ast
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import datasets
import numpy as np
import torch
from transformers import PrinterCallback

from hf_metairm import infer_environments
from hf_metairm.cards.text import table
from hf_metairm.data import TensorRows
from hf_metairm.experiments.finetune_text import TextArguments, TextComparison
from hf_metairm.experiments.heads import DEFAULTS, head_trainer
from hf_metairm.experiments.measure import by_environment
from hf_metairm.experiments.settings import read_settings
from hf_metairm.inference.infer import InferredEnvironments
from hf_metairm.inference.report import lengths
from hf_metairm.inspection import inspect_dataset
from hf_metairm.inspection.texts import words_in
from hf_metairm.trainer import ALGORITHMS


FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"
OUT, CHOSEN = FOLDER / "inferred_text.jsonl", FOLDER / "cad_imdb.jsonl"
QUICK_START, REVIEWS = "punctuated_sst2", "cad_imdb"
TRAINED = ("erm", "v-rex", "meta-irm")
KNOWN, REFERENCES = "known", ("words", "encoder")
# As in `benchmarks/cad_imdb.py`, where the encoder stays as it is.
OF_REVIEWS = ["--dataset", "cad_imdb", "--stages", "two", "--trainable", "head"]
OF_REVIEWS += ["--max_length", "256", "--features_bf16", "true"]
SHOWN = {
    QUICK_START: ("p=0.1", "p=0.2", "p=0.5", "p=0.9"),
    REVIEWS: ("revised=0", "revised=0.2", "revised=0.5", "revised=0.8", "revised=1"),
}
CUES = 10
Line = dict[str, Any]


# What is run


def run(names: Sequence[str], seeds: Sequence[int], source: str | None) -> None:
    """Every split and every head that is not in the file yet."""
    for name in names:
        comparison = quick_start() if name == QUICK_START else reviews(source)
        for seed in seeds:
            for reference in REFERENCES:
                divide_and_train(name, comparison, seed, reference)


def quick_start() -> TextComparison:
    """As `hf-metairm train --config punctuated_sst2`, but for test rows that are read in bfloat16, which is faster."""
    return TextComparison(read_settings(TextArguments, ["--config", QUICK_START, "--features_bf16", "true"]))


def reviews(source: str | None) -> TextComparison:
    """As `hf-metairm train` with what `benchmarks/cad_imdb.py` chose."""
    if source is None:
        raise SystemExit("The reviews are not in the package: give the folder with the authors' files as --source.")
    settings = read_settings(TextArguments, [*OF_REVIEWS, "--source", source, "--algorithms", *TRAINED])
    for line in read(CHOSEN):
        if line["way"] == "head" and line.get("chosen") in TRAINED:
            settings.fields[line["chosen"]] |= line["settings"]
    return TextComparison(settings)


def divide_and_train(name: str, comparison: TextComparison, seed: int, reference: str) -> None:
    """One split, and the heads that are trained on it; before the first one those with the known environments."""
    done = {
        (line["environments"], line.get("algorithm"))
        for line in read(OUT)
        if (line["dataset"], line["seed"]) == (name, seed)
    }
    ways = (KNOWN, reference) if reference == REFERENCES[0] else (reference,)
    wanted = [(reference, None), *((way, algorithm) for way in ways for algorithm in TRAINED)]
    if done.issuperset(wanted):
        return
    found = divided(comparison, seed, reference, "eiil")
    about = {"dataset": name, "seed": seed, "environments": reference}
    if (reference, None) not in done:
        same = np.mean(names_of(divided(comparison, seed, reference, "jtt")) == names_of(found))
        data = comparison.data(comparison.arguments.dataset_config, seed)
        keep({**about, **what_was_found(found, data), "jtt, rows alike": float(same)})
    for way, algorithm in wanted[1:]:
        if (way, algorithm) not in done:
            names = None if way == KNOWN else names_of(found)
            keep({**about, "environments": way, **train(comparison, seed, algorithm, names)})


def divided(comparison: TextComparison, seed: int, reference: str, method: str) -> InferredEnvironments:
    """All training rows, in their order and without their environments."""
    config = comparison.arguments.dataset_config
    if reference == "words":
        rows = comparison.data(config, seed).train.select_columns(["sentence", "label"])
        return infer_environments("regression", rows, method=method)
    two_stages, features = comparison.two_stages(config, seed)
    order = np.argsort(np.concatenate([two_stages.parts["train"], two_stages.parts["validation"]]))
    columns = {
        name: torch.cat([features.train[name], features.validation[name]])[order] for name in ("features", "labels")
    }
    return infer_environments("regression", TensorRows(columns), method=method)


def names_of(found: InferredEnvironments) -> np.ndarray:
    """`"against"` or `"with"`, of each row."""
    return np.array(found.dataset[found.column][:])


def what_was_found(found: InferredEnvironments, data: Any) -> Line:
    """Of a split: how it lies to the known environments and to the cue, its test, and what `inspect` sees in it."""
    rows, names = data.train, names_of(found)
    second = np.array(rows["environment"][:]) == sorted(set(rows["environment"][:]))[1]
    parts = {name: names == name for name in found.rows}
    shares = {"second environment": second, "cue contradicts label": contradicts(rows)}
    named = rows.select_columns(["sentence", "label"]).add_column("environment", names)
    looked, words = inspect_dataset(named, most_cues=CUES), lengths(named, "environment", "sentence")
    return {
        "rows": found.rows,
        **{what: {e: float(is_so[part].mean()) for e, part in parts.items()} for what, is_so in shares.items()},
        "reference": vars(found.held_out.reference),
        "kept": {name: vars(told) for name, told in found.held_out.kept.items()},
        "p_value": found.held_out.p_value,
        "warnings": found.warnings,
        "words of a text": {name: round(float(counts.mean()), 1) for name, counts in words.items()},
        "differing": [
            {"cue": cue.what, "label": cue.label, **cue.strength, **unseen_strength(cue.what, cue.label, data.test)}
            for cue in looked.differing
        ],
    }


def contradicts(rows: datasets.Dataset) -> np.ndarray:
    """Whether the mark says the other label; whether a review is revised, and its habits of the other sentiment."""
    label = np.array(rows["label"][:])
    if "original_label" in rows.column_names:
        return np.array(rows["original_label"][:]) != label
    return np.array(rows["punctuation"][:]) != np.array(["!", "."])[label]


def unseen_strength(cue: str, label: str, test: datasets.Dataset) -> dict[str, float]:
    """Of a word, its correlation with the label in the first and in the last test environment."""
    kind, _, word = cue.partition(" ")
    if kind != "has":
        return {}
    of_row, found = np.array(test["environment"][:]), {}
    is_label = np.array(test["label"][:]) == test.features["label"].names.index(label)
    for name in (min(of_row), max(of_row)):
        part = np.flatnonzero(of_row == name)
        has = [ast.literal_eval(word) in words_in(text) for text in test.select(part)["sentence"][:]]
        found[str(name)] = round(float(np.corrcoef(has, is_label[part])[0, 1]), 3) if 0 < sum(has) < len(has) else 0.0
    return found


def train(comparison: TextComparison, seed: int, algorithm: str, names: np.ndarray | None) -> Line:
    """A head, trained with the environments of these names or with the known ones, and its accuracies."""
    two_stages, features = comparison.two_stages(comparison.arguments.dataset_config, seed)
    rows = features.train
    if names is not None:
        columns = {name: rows[name] for name in rows.column_names}
        rows = TensorRows({**columns, "environment": names[two_stages.parts["train"]].tolist()})
    own = ALGORITHMS[algorithm][1]
    plain = {**DEFAULTS, **own.on_own_data, **own.on_features, "disable_tqdm": True, "save_strategy": "no"}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        config = comparison.settings.config(algorithm, plain, output_dir=folder, seed=seed)
        trainer = head_trainer(algorithm, features, config, units=comparison.arguments.head_units, train=rows)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        test = {
            name: round(metrics["accuracy"], 4) for name, metrics in by_environment(trainer, features.test).items()
        }
    return {"algorithm": algorithm, "test": test, "seconds": round(time.perf_counter() - start, 1)}


# The file, and the tables of the page


def read(file: Path) -> list[Line]:
    """The lines of a file, which need not be there."""
    return [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def keep(line: Line) -> None:
    """Add a line to the file."""
    print(json.dumps(line), flush=True)
    with open(OUT, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def lines_of(lines: Sequence[Line], name: str, environments: str, algorithm: str | None = None) -> list[Line]:
    """A line a seed: of models, or without an algorithm of splits."""
    wanted = (name, environments, algorithm)
    return [line for line in lines if (line["dataset"], line["environments"], line.get("algorithm")) == wanted]


def splits_table(lines: Sequence[Line]) -> str:
    """In percent, means over seeds; p-values and warnings of each seed."""
    header = ["rows", "reference", "`against`", *(f"{what}: `against` / `with`" for what in ("cue", "env"))]
    header += ["reference", "kept in `against`", "kept in `with`", "p", "warned"]
    rows = []
    for name in SHOWN:
        for reference in REFERENCES:
            same = lines_of(lines, name, reference)
            cells = [_mean([line["rows"]["against"] / sum(line["rows"].values()) for line in same])]
            for what in ("cue contradicts label", "second environment"):
                cells.append(" / ".join(_mean([line[what][e] for line in same]) for e in ("against", "with")))
            cells.append(_mean([line["reference"]["accuracy"] for line in same]))
            for e in ("against", "with"):
                cells.append(_mean([line["kept"][e]["accuracy"] for line in same]))
            cells.append(", ".join(f"{line['p_value']:.1g}" for line in same))
            cells.append(", ".join("yes" if line["warnings"] else "no" for line in same))
            rows.append([name, reference, *cells])
    return table(header, rows, range(2, len(header) - 1))


def _mean(shares: Sequence[float]) -> str:
    return f"{100 * fmean(shares):.1f}"


def tables(lines: Sequence[Line]) -> list[str]:
    """All of them, as they stand on the page."""
    return [splits_table(lines), *(training_table(lines, name) for name in SHOWN)]


def training_table(lines: Sequence[Line], name: str) -> str:
    """Accuracies in percent, mean ± standard deviation over seeds; what is the same with all environments once."""
    rows = []
    for algorithm in TRAINED:
        ways = [(way, _accuracies(lines_of(lines, name, way, algorithm), name)) for way in (KNOWN, *REFERENCES)]
        same = all(cells == ways[0][1] for _, cells in ways)
        rows += [[algorithm, way, *cells] for way, cells in ([("any", ways[0][1])] if same else ways)]
    return table(["", "environments", *SHOWN[name]], rows, range(2, 2 + len(SHOWN[name])))


def _accuracies(lines: Sequence[Line], name: str) -> list[str]:
    found = [[100 * line["test"][environment] for line in lines] for environment in SHOWN[name]]
    return [f"{fmean(values):.1f} ± {stdev(values):.1f}" for values in found]


if __name__ == "__main__":
    raise SystemExit("This is a part of inferred_environments.py: python benchmarks/inferred_environments.py text")
