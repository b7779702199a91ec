"""
A Trainer's step, and what it costs to be made for many rows, beside the same in another version of this project.

Each measurement runs in a process of its own, the two versions in turn, several times; what is reported are medians
and ratios from one such session.

    python benchmarks/against_version.py --commit 869c3e9

writes `docs/benchmarks/against_version.jsonl` (one line a measurement) and `docs/benchmarks/against_version.md`.
Needs Git, and the extra `demo`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from tqdm.auto import tqdm


ROOT = Path(__file__).parents[1]
CHILD = Path(__file__).with_name("against_version_child.py")
VARIANTS = {
    "erm": "ERM, MiniLM, 2 environments of 8 sentences",
    "exact": "meta-IRM, exact, the same",
    "finite_difference": "meta-IRM, finite difference, the same",
    "construct": "a Trainer for 1,000,000 rows in 1,000 environments",
    "running_means": "running means of 450 environments (202,050 pairs)",
}


def measure(tree: Path, variant: str, steps: int) -> dict:
    """One measurement in a process of its own, with the package of `tree`."""
    command = [sys.executable, str(CHILD), variant, str(steps)]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tempfile.gettempdir())
    if done.returncode:
        raise SystemExit(f"{variant} failed with the package of {tree}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def report(lines: list[dict], commit: str) -> str:
    """A table of medians and ratios, as Markdown."""
    found: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for line in lines:
        found[line["variant"], line["version"]].append(line)
    rows = [
        f"| what | seconds, {commit} | now | ratio | MB, {commit} | now | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for variant, title in VARIANTS.items():
        cells = [title]
        for field, digits in (("seconds", 3), ("memory_mb", 1)):
            before, now = (median(r[field] for r in found[variant, v]) for v in ("before", "now"))
            cells += [f"{before:.{digits}f}", f"{now:.{digits}f}", f"{now / before:.2f}" if before > 0 else ""]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    """Measure both versions in turn, and write the lines and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default="869c3e9", help="the version to compare with")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder, "before")
        subprocess.run(["git", "worktree", "add", "--detach", str(before), options.commit], cwd=ROOT, check=True)
        try:
            for repetition in tqdm(range(options.repetitions), disable=None):
                for variant in options.variants:
                    for version, tree in (("before", before), ("now", ROOT)):
                        found = measure(tree, variant, options.steps)
                        lines.append({"variant": variant, "version": version, "repetition": repetition, **found})
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True)
    target = ROOT / "docs" / "benchmarks"
    (target / "against_version.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    table = report(lines, options.commit)
    (target / "against_version.md").write_text(
        f"# Beside version {options.commit}\n\nMedians of {options.repetitions} measurements, each in a process of "
        "its own, the two versions in turn: `python benchmarks/against_version.py --commit "
        f"{options.commit}`. The raw lines are in `against_version.jsonl`. Memory is what the resident set grew by at "
        f"its highest.\n\n{table}\n"
    )
    print(table)


if __name__ == "__main__":
    main()
