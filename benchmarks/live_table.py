"""
The picture of the live table in the README: a terminal (tmux) in which `hf-metairm train` runs, as it is at one step.

    python benchmarks/live_table.py    # a minute or two; writes docs/pictures/live_table.svg
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text


PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "live_table.svg"
COMMAND = "hf-metairm train --config colored_mnist --algorithms meta-irm --eval_strategy steps --eval_steps 50"
COLUMNS, LINES = 86, 20
SESSION = "live_table"


def tmux(*words: str) -> str:
    """What tmux says to a command."""
    return subprocess.run(["tmux", "-L", SESSION, *words], check=True, capture_output=True, text=True).stdout


def recorded(step: int, timeout: float) -> str:
    """The terminal's lines, with their colours, when that step is done and the results of an evaluation are there."""
    python = f"{shlex.quote(sys.executable)} -m hf_metairm {COMMAND.removeprefix('hf-metairm ')}"
    with tempfile.TemporaryDirectory() as folder:
        shell = f"{python} --output_dir {folder} 2>&1; sleep {timeout:.0f}"
        tmux(
            "new-session",
            "-d",
            "-s",
            SESSION,
            "-x",
            str(COLUMNS),
            "-y",
            str(LINES),
            f"PS1= sh -c {shlex.quote(shell)}",
        )
        try:
            until = time.monotonic() + timeout
            while time.monotonic() < until:
                shown = tmux("capture-pane", "-p", "-t", SESSION)
                done = re.search(r"step (\d+) of", shown)
                # The reference without the cue is trained by ERM, which has no meta-losses.
                if done and int(done[1]) >= step and "meta-losses" in shown and "worst accuracy" in shown:
                    return tmux("capture-pane", "-p", "-e", "-t", SESSION)
                time.sleep(0.2)
            raise SystemExit(f"Step {step} was not there after {timeout:.0f} s. The terminal shows:\n{shown}")
        finally:
            tmux("kill-server")


def table_of(lines: str) -> str:
    """From the line of the steps to the table's last."""
    kept = lines.splitlines()
    first = next(k for k, line in enumerate(kept) if "step " in line and " of " in line)
    last = max(k for k, line in enumerate(kept) if "└" in line)
    return "\n".join(kept[first : last + 1])


def picture(text: str) -> str:
    """As SVG, which asks no other host for a font."""
    console = Console(width=COLUMNS, record=True, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(Text(f"$ {COMMAND}\n", style="bold"))
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="hf-metairm train", theme=MONOKAI, unique_id="live-table")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Record, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=210)
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--output", type=Path, default=PICTURE)
    options = parser.parse_args()
    lines = table_of(recorded(options.step, options.timeout))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(picture(lines), encoding="utf-8")
    print(f"{options.output}\n{Text.from_ansi(lines).plain}")


if __name__ == "__main__":
    main()
