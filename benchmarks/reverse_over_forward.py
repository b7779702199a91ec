"""
The Hessian product of `exact` in two ways: double backward, and reverse over forward (the gradient of a jvp).

    python benchmarks/reverse_over_forward.py [--rounds N] [--rows N] [--tokens N]

One whole meta-IRM step each (E = 2, λ = 1, α = 0.1) of the 22M-parameter encoder with eager attention, in a process of
its own, in turns. Reverse over forward computes the inner gradient with an ordinary pass and, v being known, ∇(∇R · v)
as the gradient of the tangent of a dual forward pass. Appends a line a process to
`docs/benchmarks/reverse_over_forward.jsonl` and prints the medians: seconds on the clock and of the processor, the
highest resident set above that of the loaded model, and the relative error against double backward.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
from torch import nn


ROOT = Path(__file__).parent.parent
RAW = ROOT / "docs" / "benchmarks" / "reverse_over_forward.jsonl"
WAYS = ("double_backward", "reverse_over_forward")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2, help="timed steps of a process, after one to warm up")
    parser.add_argument("--rows", type=int, default=8, help="of each environment")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    return parser.parse_args()


def risk(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """
    The mean cross-entropy by `logsumexp`: the forward derivative of `log_softmax`, and so of `cross_entropy`, writes in
    place what a backward pass through it needs, and PyTorch refuses (2.13: "modified by an inplace operation").
    """
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return (logits.logsumexp(-1) - logits.gather(-1, batch["labels"][:, None])[:, 0]).mean()


def reverse_over_forward() -> type:
    """`Exact`, but for the Hessian product."""
    from hf_metairm.gradients import Exact, Linearization

    class ReverseOverForward(Exact):
        """The gradient of ∇R · v, which a forward pass with dual numbers gives."""

        def linearize(self, oracle: Any, environment: Any, point: Any) -> Linearization:
            risk, gradient = oracle.joint_gradient(environment, point)

            def product(vector: list[torch.Tensor]) -> list[torch.Tensor]:
                leaves = [nn.Parameter(p.detach()) for p in point]
                with forward_ad.dual_level():
                    duals = [forward_ad.make_dual(p, v) for p, v in zip(leaves, vector)]
                    with oracle.places.taken_by(duals):
                        (part,) = oracle.batches[environment]
                        tangent = forward_ad.unpack_dual(oracle.risk(oracle.processes.module, part.inputs)).tangent
                    found = torch.autograd.grad(tangent * part.weight, leaves, allow_unused=True)
                return [torch.zeros_like(p) if g is None else g for g, p in zip(found, leaves)]

            return Linearization(risk, gradient, product)

    return ReverseOverForward


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own: one step to warm up, then those that are timed."""
    from meta_step_child import _peak, _relative_error, _start_of_peak
    from meta_step_settings import Setting, make_batches, make_model

    from hf_metairm.gradients import KINDS, meta_gradient

    torch.set_num_threads(args.threads)
    KINDS["reverse_over_forward"] = reverse_over_forward()
    setting = Setting("", 2, args.rows, args.tokens, ())
    model, batches = make_model(setting), make_batches(setting)
    model.set_attn_implementation("eager")
    kind = "exact" if args.child == "double_backward" else args.child
    with torch.no_grad():
        risk(model, batches[0])
    baseline = _start_of_peak()
    seconds, busy = [], []
    for _ in range(args.steps + 1):
        start, start_busy = time.perf_counter(), time.process_time()
        gradients = meta_gradient(model, risk, batches, kind=kind).gradients
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - start_busy)
    found = {"seconds": median(seconds[1:]), "processor_seconds": median(busy[1:])}
    found["memory_mb"] = (_peak() - baseline) / 1024
    reference = Path(args.reference)
    if reference.exists():
        found["relative_error"] = _relative_error(gradients, torch.load(reference))
    else:
        torch.save(gradients, reference)
    return found


def main() -> None:
    """Let both have their turns, and print the medians."""
    args = parse_arguments()
    if args.child:
        print(json.dumps(measure(args)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            for way in WAYS:
                command = [sys.executable, __file__, "--child", way, "--reference", f"{folder}/reference.pt"]
                for name in ("steps", "rows", "tokens", "threads"):
                    command += [f"--{name}", str(getattr(args, name))]
                environment = {**os.environ, "PYTHONPATH": str(ROOT)}
                done = subprocess.run(command, capture_output=True, text=True, env=environment)
                if done.returncode:
                    sys.exit(done.stderr[-3000:])
                row = {"way": way, "round": number, "rows": args.rows, "tokens": args.tokens, "threads": args.threads}
                rows.append({**row, **json.loads(done.stdout.strip().splitlines()[-1])})
                with RAW.open("a") as file:
                    print(json.dumps(rows[-1]), file=file)
    for way in WAYS:
        own = [row for row in rows if row["way"] == way]
        words = [f"{name} {median(r[name] for r in own):.3g}" for name in own[-1] if name.endswith(("seconds", "mb"))]
        print(f"{way}: {', '.join(words)}")


if __name__ == "__main__":
    main()
