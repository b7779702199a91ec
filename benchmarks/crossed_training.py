"""
Training to the end with crossed differences: accuracy beside that of the exact meta-gradient, seed by seed.

    python benchmarks/crossed_training.py [--batch 2000] [--seeds 0 1 2] [--source bundled]
    python benchmarks/crossed_training.py --table punctuated_sst2_encoder_25 --kinds crossed_difference --batch full \
        --seeds 0 1 2 3 4 --source FOLDER

Meta-IRM on two-class Colored MNIST with the reproduction's settings but α = 0.02, by `exact`, `crossed_difference` and
`first_order`; or with another table's own settings, whose lines have `exact`. A line a run goes to
`docs/benchmarks/crossed_training.jsonl`; what is there is not trained again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import mean

from hf_metairm.paper.rows import changed
from hf_metairm.paper.runs import Machine, run_of
from hf_metairm.paper.tables import TABLES


OUT = Path(__file__).parent.parent / "docs" / "benchmarks" / "crossed_training.jsonl"
KINDS = ("exact", "crossed_difference", "first_order")
SHOWN = ("p=0.1", "p=0.2", "p=0.9")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--batch", default="2000", help="rows in a batch, or full")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--table", choices=TABLES, default="colored_mnist")
    parser.add_argument("--alpha", type=float, help="0.02 on Colored MNIST, else the table's own")
    parser.add_argument("--source", default="bundled")
    return parser.parse_args()


def main() -> None:
    """Train what is not there yet, and print the mean accuracies."""
    args = parse_arguments()
    batch = args.batch if args.batch == "full" else int(args.batch)
    table = TABLES[args.table]
    alpha = 0.02 if args.alpha is None and args.table == "colored_mnist" else args.alpha
    changes = {} if alpha is None else {"inner_learning_rate": alpha}
    done = [json.loads(line) for line in OUT.read_text().splitlines()] if OUT.exists() else []
    for kind in args.kinds:
        of_kind = []
        for seed in args.seeds:
            row = changed(table.row("meta-irm"), meta_gradient=kind, **changes)
            run = run_of(table, row, seed, batch=batch, source=args.source, word_vectors=None)
            found = next((line for line in done if line["settings"] == run.settings), None)
            if found is None:
                with tempfile.TemporaryDirectory() as folder:
                    result = Machine(args.source)(run, Path(folder), lambda step: None)
                found = {"settings": dict(run.settings), "test": {e: result["test"][e]["accuracy"] for e in SHOWN}}
                with OUT.open("a") as file:
                    print(json.dumps(found), file=file)
            of_kind.append(found["test"])
            print(kind, f"seed {seed}", *(f"{e} {value:.1%}" for e, value in found["test"].items()), flush=True)
        print(kind, "mean", *(f"{e} {mean(test[e] for test in of_kind):.1%}" for e in SHOWN), flush=True)


if __name__ == "__main__":
    main()
