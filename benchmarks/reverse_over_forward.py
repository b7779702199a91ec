"""
The Hessian product of `exact` in two ways: double backward, and reverse over forward (the gradient of a jvp).

    python benchmarks/reverse_over_forward.py [--rounds N] [--rows N] [--tokens N]

First H v of single operations in float64, by the gradient of a jvp (under `torch.func`, and with plain dual numbers)
against double backward. Then one whole meta-IRM step (E = 2, λ = 1, α = 0.1) of the 22M-parameter encoder with eager
attention, each way in a process of its own, in turns: seconds on the clock and of the processor, the highest resident
set above that of the loaded model, and the relative error against double backward. Every result is a line of
`docs/benchmarks/reverse_over_forward.jsonl`; the medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad


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


def reverse_over_forward() -> type:
    """`Exact`, but for the Hessian product."""
    from hf_metairm.gradients import Exact, Linearization

    class ReverseOverForward(Exact):
        """The gradient of ∇R · v, which a forward pass with dual numbers gives."""

        def linearize(self, oracle: Any, environment: Any, point: Any) -> Linearization:
            risk, gradient = oracle.joint_gradient(environment, point)

            def product(vector: list[torch.Tensor]) -> list[torch.Tensor]:
                (part,) = oracle.batches[environment]

                def risk_at(leaves: list[torch.Tensor]) -> torch.Tensor:
                    with oracle.places.taken_by(leaves):
                        return oracle.risk(oracle.processes.module, part.inputs) * part.weight

                def slope_at(leaves: list[torch.Tensor]) -> torch.Tensor:
                    return torch.func.jvp(risk_at, (leaves,), (vector,))[1]

                # Under torch.func alone: with plain dual numbers the forward derivatives of softmax and log_softmax
                # write in place what the backward pass through them needs.
                return torch.func.grad(slope_at)([p.detach() for p in point])

            return Linearization(risk, gradient, product)

    return ReverseOverForward


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own: one step to warm up, then those that are timed."""
    from meta_step_child import _peak, _relative_error, _start_of_peak
    from meta_step_settings import Setting, make_batches, make_model, risk

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


OPERATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": lambda x: (x @ torch.ones(4, 5, dtype=x.dtype)).pow(3).sum(),
    "tanh": lambda x: x.tanh().sum(),
    "gelu": lambda x: torch.nn.functional.gelu(x).sum(),
    "softmax": lambda x: x.softmax(-1).pow(3).sum(),
    "cross_entropy": lambda x: torch.nn.functional.cross_entropy(x, torch.tensor([0, 1, 1])),
    "layer_norm": lambda x: torch.nn.functional.layer_norm(x, (4,)).pow(3).sum(),
}


def of_operations() -> Iterator[dict[str, Any]]:
    """The relative error of H v of each operation, or the first line of PyTorch's refusal."""
    torch.manual_seed(0)
    for name, function in OPERATIONS.items():
        x, v = torch.randn(2, 3, 4, dtype=torch.float64)
        expected = torch.autograd.functional.vhp(function, x, v)[1]

        def by_torch_func(x: torch.Tensor, v: torch.Tensor = v, function: Any = function) -> torch.Tensor:
            return torch.func.grad(lambda p: torch.func.jvp(function, (p,), (v,))[1])(x)

        def by_dual_numbers(x: torch.Tensor, v: torch.Tensor = v, function: Any = function) -> torch.Tensor:
            leaf = x.clone().requires_grad_()
            with forward_ad.dual_level():
                tangent = forward_ad.unpack_dual(function(forward_ad.make_dual(leaf, v))).tangent
            return torch.autograd.grad(tangent, leaf)[0]

        row: dict[str, Any] = {"operation": name}
        for way in (by_torch_func, by_dual_numbers):
            try:
                row[way.__name__] = float((way(x) - expected).norm() / expected.norm())
            except RuntimeError as error:
                row[way.__name__] = str(error).partition(":")[0]
        yield row


def main() -> None:
    """Let both have their turns, and print the medians."""
    args = parse_arguments()
    if args.child:
        print(json.dumps(measure(args)))
        return
    torch.set_num_threads(args.threads)
    for row in of_operations():
        _keep(row)
        print(*row.values(), sep=", ")
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
                _keep(rows[-1])
    for way in WAYS:
        own = [row for row in rows if row["way"] == way]
        words = [f"{name} {median(r[name] for r in own):.3g}" for name in own[-1] if name.endswith(("seconds", "mb"))]
        print(f"{way}: {', '.join(words)}")


def _keep(row: dict[str, Any]) -> None:
    with RAW.open("a") as file:
        print(json.dumps(row), file=file)


if __name__ == "__main__":
    main()
