"""Which checkpoints are whole: a kill, a full disk or a copy that was cut off leaves others."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open


STATE = "trainer_state.json"  # The last file that a Trainer writes into a checkpoint.


def newest_whole(folder: Path) -> tuple[Path | None, dict[Path, str]]:
    """
    The newest checkpoint in a folder of which no file is missing or cut off, and those that are newer, with what is
    wrong with them.
    """
    found = [place for place in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", place.name)]
    broken: dict[Path, str] = {}
    for place in sorted(found, key=lambda place: int(place.name.rpartition("-")[2]), reverse=True):
        flaw = flaw_of(place)
        if flaw is None:
            return place, broken
        broken[place] = flaw
    return None, broken


def flaw_of(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, in words, or `None`. Only the ends of large files are read."""
    if not (checkpoint / STATE).is_file():
        return f"it has no {STATE}"
    for file in sorted(file for file in checkpoint.rglob("*") if file.is_file()):
        look = LOOKS.get(file.suffix)
        try:
            if look is not None and not look(file):
                return f"{file.relative_to(checkpoint)} is cut off"
        except Exception as error:  # Whatever its library says of half a file.
            return f"{file.relative_to(checkpoint)} cannot be read: {' '.join(str(error).split())}"
    return None


def _is_whole_safetensors(file: Path) -> bool:
    with safe_open(file, framework="np") as tensors:  # It holds the file's size against what the head says.
        tensors.keys()
    return True


def _is_whole_json(file: Path) -> bool:
    content = json.loads(file.read_bytes())
    shards = content.get("weight_map", {}) if isinstance(content, dict) else {}
    missing = [name for name in set(shards.values()) if not (file.parent / name).is_file()]
    if missing:
        raise FileNotFoundError(f"it names {missing[0]}, which is not there")
    return True


# What torch saves is a zip archive, whose list of contents comes last.
LOOKS: dict[str, Callable[[Path], bool]] = {
    ".safetensors": _is_whole_safetensors,
    ".json": _is_whole_json,
    **dict.fromkeys((".bin", ".pt", ".pth"), zipfile.is_zipfile),
}
