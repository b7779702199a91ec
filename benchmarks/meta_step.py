"""
Time and peak memory of one meta-IRM step: a plain ERM step, ours, and the peers that do the same update.

    python benchmarks/meta_step.py --peer_python PEERS_VENV/bin/python [--settings …] [--variants …] [--rounds N]
    python benchmarks/meta_step.py --device cuda
    python benchmarks/meta_step.py --profile --settings minilm_e2_8x128

Every measurement runs in a process of its own. The variants of a setting take turns, round after round, so that a
machine that slows down slows all of them down. One line per finished child is appended to
`docs/benchmarks/meta_step.jsonl` (`meta_step_cuda.jsonl` for a GPU); what is there is not measured again, unless it
failed or the machine was busy with something else. The table `meta_step.md` and the picture `meta_step.png` beside it
are made anew at the end, or alone by `--report`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

from meta_step_settings import DEFAULT_SETTINGS, OVERHEAD, PEERS, SETTINGS


ROOT = Path(__file__).parent.parent


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    variants = sorted({variant for setting in SETTINGS.values() for variant in setting.variants})
    parser.add_argument(
        "--settings", "--setting", nargs="+", choices=SETTINGS, help="those that suit the device if it is not given"
    )
    parser.add_argument("--variants", nargs="+", choices=variants, default=variants)
    parser.add_argument("--rounds", type=int, default=7, help="how often each variant has its turn")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a turn, after one to warm up")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch, in every process")
    parser.add_argument("--timeout", type=float, default=1800, help="of a child, in seconds")
    parser.add_argument(
        "--busy",
        type=float,
        default=0.3,
        help="on a CPU, measure again where other processes kept more cores busy than this",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--ahead", type=int, default=0, help="children that load while one measures: for a GPU with cores to spare"
    )
    parser.add_argument(
        "--peer_python", default=sys.executable, help="interpreter that has the peers, see requirements-peers.txt"
    )
    parser.add_argument("--profile", action="store_true", help="instead, what share of a step no matrix product takes")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks", help="folder of the results")
    parser.add_argument("--report", action="store_true", help="measure nothing, make the table and the picture anew")
    parser.add_argument("--child", nargs=2, metavar=("SETTING", "VARIANT"), help=argparse.SUPPRESS)
    parser.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.settings = args.settings or DEFAULT_SETTINGS[args.device]
    return args


def run_child(args: argparse.Namespace) -> dict[str, Any]:
    """What a child measures; the variant `reference` saves the gradient that the others are compared with."""
    import meta_step_child

    setting, variant = args.child
    if variant == "reference":
        return meta_step_child.save_reference(setting, args.threads, args.device, args.reference)
    if args.profile:
        import meta_step_profile

        return meta_step_profile.profile(setting, variant, args.threads, args.device)
    return meta_step_child.measure(setting, variant, args.steps, args.threads, args.device, args.reference)


def start_child(args: argparse.Namespace, setting: str, variant: str, reference: Path) -> subprocess.Popen[str]:
    """A child that loads its model and waits for its turn."""
    python = args.peer_python if variant in PEERS and variant != "all_graphs" else sys.executable
    command = [python, __file__, "--child", setting, variant, "--reference", str(reference)]
    command += ["--steps", str(args.steps), "--threads", str(args.threads), "--device", args.device]
    command += ["--profile"] if args.profile else []
    before = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(before), "HF_HUB_OFFLINE": "1"}
    if args.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=environment, **pipes)


def finish(child: subprocess.Popen[str], timeout: float) -> dict[str, Any]:
    """Let a child have its turn and return what it printed, or `error` with the last line of what it complained of."""
    try:
        stdout, stderr = child.communicate("go\n", timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return {"error": f"not done after {timeout:.0f} s"}
    if child.returncode != 0:
        # A negative code is a signal; −9 is how a child ends that took more memory than there is.
        complaint = stderr.strip().splitlines()[-1:] or [f"exit code {child.returncode}"]
        return {"error": complaint[0] if child.returncode > 0 else f"ended by signal {-child.returncode}"}
    result: dict[str, Any] = json.loads(stdout.strip().splitlines()[-1])
    return result


def missing(args: argparse.Namespace) -> set[str]:
    """The peers that are asked for and not there, each named in a sentence."""
    found = set()
    for peer in sorted(set(args.variants) & set(PEERS)):
        look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({PEERS[peer]!r}) is None)"
        if subprocess.run([args.peer_python, "-c", look], capture_output=True).returncode:
            print(f"{peer} is not installed for {args.peer_python} and is left out.", flush=True)
            found.add(peer)
    return found


def measure(args: argparse.Namespace, raw: Path) -> None:
    """Let every variant of every setting have its turns, but for those whose results are there."""
    done = {
        (row["setting"], row["variant"], row["round"])
        for row in read(raw)
        if "error" not in row and (args.device == "cuda" or row.get("others", 0.0) <= args.busy)
    }
    left_out = missing(args)
    turns = [
        (setting, number, variant)
        for setting in args.settings
        for number in range(args.rounds)
        for variant in SETTINGS[setting].variants
        if setting != OVERHEAD or args.device == "cpu"
        if variant in args.variants and variant not in left_out
    ]
    waiting = deque(turn for turn in turns if (turn[0], turn[2], turn[1]) not in done)
    print(f"{len(turns) - len(waiting)} of {len(turns)} turns are there.", flush=True)
    children: deque[tuple[tuple[str, int, str], subprocess.Popen[str]]] = deque()
    with tempfile.TemporaryDirectory() as folder:
        while waiting or children:
            while waiting and len(children) <= args.ahead:
                turn = waiting.popleft()
                reference = Path(folder) / f"{turn[0]}.pt"
                if turn[0] != OVERHEAD and not args.profile and not reference.exists():
                    failure = finish(start_child(args, turn[0], "reference", reference), args.timeout).get("error")
                    if failure:
                        sys.exit(f"the reference gradient failed: {failure}")
                children.append((turn, start_child(args, turn[0], turn[2], reference)))
            (setting, number, variant), child = children.popleft()
            count = len(turns) - len(waiting) - len(children)
            print(f"[{count}/{len(turns)}] {setting}, round {number + 1}, {variant}:", end=" ", flush=True)
            row = {"setting": setting, "variant": variant, "round": number, "threads": args.threads}
            row |= {"processor": platform.machine(), "device": args.device, **finish(child, args.timeout)}
            with raw.open("a") as file:
                print(json.dumps(row), file=file)
            print(describe(row), flush=True)


def describe(row: dict[str, Any]) -> str:
    """A result in a few words."""
    if "error" in row:
        return f"failed: {row['error']}"
    if "matrix_products" in row:
        return f"{row['matrix_products']:.1%} in matrix products, {row['attention']:.1%} in attention"
    text = f"{row['seconds']:.3f} s, {row['memory_mb']:.0f} MB"
    if "relative_error" in row:
        text += f", relative error {row['relative_error']:.1e}"
    if row["others"] > 0.1:
        text += f"; others kept {row['others']:.1f} cores busy"
    return text + (f", overhead {row['overhead']:.1%}" if "overhead" in row else "")


def read(raw: Path) -> list[dict[str, Any]]:
    """The results so far; the last one of a turn that was repeated."""
    rows = [json.loads(line) for line in raw.read_text().splitlines()] if raw.exists() else []
    return list({(row["setting"], row["variant"], row["round"]): row for row in rows}.values())


def main() -> None:
    """Measure, then report; or be the child that measures."""
    args = parse_arguments()
    if args.child:
        print(json.dumps(run_child(args)))
        return
    # So that a child does not outlive a parent that is told to end, and disturb what is measured next.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args.output.mkdir(parents=True, exist_ok=True)
    name = f"meta_step{'_profile' * args.profile}{'_cuda' * (args.device == 'cuda')}"
    raw = args.output / f"{name}.jsonl"
    if args.profile:
        args.rounds = 1
    if not args.report:
        measure(args, raw)
    if not args.profile:
        import meta_step_report

        meta_step_report.write(read(raw), args.output, name)


if __name__ == "__main__":
    main()
