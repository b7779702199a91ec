"""What the commands share in how they print."""

from __future__ import annotations

import json
from typing import Any

import typer


def print_json(found: Any) -> None:
    """What `--json` prints on stdout."""
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
