"""
How the quick start's meta-IRM settings were chosen, by a rule that never sees the unseen environment.

Every cell of a grid is trained with three seeds through `hf_metairm.experiments.finetune_text`, and judged on the
validation rows of the two *training* environments: accuracy, and the risk R_e (mean cross-entropy) in each. The rule
"invariance" picks, among the cells whose validation accuracy is within 10 points of the best cell's and does not hang
on the seed (standard deviation at most 2 points), the one with the smallest |R_1 − R_2|, averaged over seeds. What
other margins pick, and an oracle that looks at the unseen environment, is written down beside it.

    python benchmarks/quick_start_selection.py [noise_25 | clean]

One line per finished run is appended to `docs/quick_start/selection_<config>.jsonl`; runs that are there are not
repeated.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean, stdev

import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from hf_metairm.data import PunctuatedSST2
from hf_metairm.experiments.finetune_text import TextArguments, TextComparison
from hf_metairm.experiments.settings import read_settings
from hf_metairm.models.text_classifier import load_classifier


ROOT = Path(__file__).parent.parent
GRID = {
    "inner_learning_rate": [0.1, 0.3],
    "std_loss_weight": [30.0, 100.0, 300.0, 1000.0],
    "std_loss_momentum": [0.0, 0.5, 0.8, 0.9],
    "penalty_anneal_steps": [5, 20],
}
SEEDS = (0, 1, 2)
MARGINS = (0.10, 0.05, 0.15)  # The first is the rule, the others show what hangs on it.
MOST_DEVIATION = 0.02
UNSEEN = "p=0.9"


def train_cell(comparison: TextComparison, algorithm: str, config: str, seed: int) -> dict:
    """Validation accuracy and risk in the training environments, and accuracy on the test rows."""
    builder = PunctuatedSST2(config, source=comparison.arguments.source, seed=seed)
    builder.download_and_prepare()
    encoder = load_classifier(comparison.arguments.model_name_or_path, ["negative", "positive"])
    rows = comparison.encoded(encoder, builder.as_dataset("validation"))
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        trainer = comparison.make_trainer(algorithm, config, seed, Path(folder), stack)
        trainer.train()
        logits = torch.tensor(trainer.predict(rows).predictions)
        metrics = trainer.evaluate(metric_key_prefix="test")
    labels, environments = rows["labels"], rows["environment"]
    result = {}
    for name in sorted(set(environments)):
        own = torch.tensor([e == name for e in environments])
        result[name] = {
            "accuracy": (logits[own].argmax(-1) == labels[own]).float().mean().item(),
            "risk": cross_entropy(logits[own], labels[own]).item(),
        }
    test = {k[len("test_") : -len("_accuracy")]: v for k, v in metrics.items() if k.startswith("test_p=")}
    return {"validation": result, "test": test}


def report(lines: list[dict]) -> str:
    """The rule's pick, the oracle's, and ERM, as a Markdown table."""
    cells = defaultdict(list)
    for line in lines:
        cells[json.dumps([line["algorithm"], line["cell"]], sort_keys=True)].append(line)
    table = []
    for key, runs in cells.items():
        if len(runs) < len(SEEDS):
            continue
        accuracies = [fmean(v["accuracy"] for v in run["validation"].values()) for run in runs]
        risks = [[v["risk"] for v in run["validation"].values()] for run in runs]
        test = {name: fmean(run["test"][name] for run in runs) for name in runs[0]["test"]}
        algorithm, cell = json.loads(key)
        gap = fmean(abs(a - b) for a, b in risks)
        table.append((algorithm, cell, fmean(accuracies), gap, test, stdev(accuracies)))
    meta = [row for row in table if row[0] == "meta-irm"]
    best = max(row[2] for row in meta)
    rows = {"erm": next(row for row in table if row[0] == "erm")}
    for margin in MARGINS:
        eligible = [row for row in meta if row[2] >= best - margin and row[5] <= MOST_DEVIATION]
        rows[f"meta-irm, rule *invariance*, margin {100 * margin:.0f}"] = min(eligible, key=lambda row: row[3])
    rows["meta-irm, oracle"] = max(meta, key=lambda row: row[4][UNSEEN])
    text = [
        "| run | validation accuracy | risk gap | p=0.1 | p=0.2 | p=0.9 | settings |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, (_, cell, accuracy, gap, test, deviation) in rows.items():
        settings = ", ".join(f"{k} {v:g}" for k, v in cell.items())
        numbers = " | ".join(f"{100 * test[p]:.1f}" for p in ("p=0.1", "p=0.2", UNSEEN))
        text.append(f"| {name} | {100 * accuracy:.1f} ± {100 * deviation:.1f} | {gap:.3f} | {numbers} | {settings} |")
    unseen = sorted(100 * row[4][UNSEEN] for row in meta)
    text.append(
        f"\n{len(meta)} cells of meta-IRM, {len(SEEDS)} seeds each; accuracy at {UNSEEN} over all cells: "
        f"{unseen[0]:.1f} to {unseen[-1]:.1f}, median {unseen[len(unseen) // 2]:.1f}."
    )
    return "\n".join(text)


def main() -> None:
    """Carry out what is missing of the grid, and report."""
    config = sys.argv[1] if len(sys.argv) > 1 else "noise_25"
    folder = ROOT / "docs" / "quick_start"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"selection_{config}.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {json.dumps([line["algorithm"], line["cell"], line["seed"]]) for line in lines}
    cells = [("erm", {})] + [("meta-irm", dict(zip(GRID, values))) for values in itertools.product(*GRID.values())]
    runs = [(a, c, s) for (a, c), s in itertools.product(cells, SEEDS) if json.dumps([a, c, s]) not in done]
    settings_file = ROOT / "hf_metairm" / "configs" / "punctuated_sst2.yaml"
    comparison: TextComparison | None = None
    for algorithm, cell, seed in tqdm(runs, desc=config):
        words = [word for name, value in cell.items() for word in (f"--{name}", str(value))]
        quiet = ["--disable_tqdm", "true", "--save_strategy", "no", "--logging_strategy", "no"]
        quiet += ["--output_dir", str(ROOT / "outputs" / "selection")]
        settings = read_settings(TextArguments, ["--config", str(settings_file), *words, *quiet])
        comparison = comparison or TextComparison(settings)
        comparison.settings = settings  # Data and encoder outputs are the same in every cell.
        line = {"algorithm": algorithm, "cell": cell, "seed": seed}
        line.update(train_cell(comparison, algorithm, config, seed))
        lines.append(line)
        with open(file, "a") as handle:
            handle.write(json.dumps(line) + "\n")
    text = report(lines)
    (folder / f"selection_{config}.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
