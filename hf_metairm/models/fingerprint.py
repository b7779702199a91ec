"""A digest of what is in a pretrained model, so that results are known by it, not by the name of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .pretrained import resolve_model
from .reading import file_of


KINDS = (".json", ".safetensors", ".bin", ".txt", ".model", ".py")
PIECE = 2**20


def model_fingerprint(name: str) -> str:
    """
    Digest the config, weights and tokenizer of a model in a folder; of one on the Hub, the commit. A gigabyte takes a
    second.

    Args:
        name (`str`): a folder, `"minilm"`, or a name on the Hub.

    Returns:
        `str`: 32 hexadecimal digits.
    """
    folder, digest = Path(resolve_model(name)), hashlib.blake2b(digest_size=16)
    if not folder.is_dir():
        config = file_of(name, "config.json")
        digest.update(f"{name} {'' if config is None else Path(config).parent.name}".encode())
        return digest.hexdigest()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in KINDS and _is_of_model(path, folder)):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    return digest.hexdigest()


def _is_of_model(path: Path, folder: Path) -> bool:
    """Not checkpoints of its training, nor what is hidden, such as the Hub's notes."""
    parts = path.relative_to(folder).parts
    return path.is_file() and not any(part.startswith((".", "_", "checkpoint-")) for part in parts)
