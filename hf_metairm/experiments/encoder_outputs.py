"""What a frozen encoder put out for which sentence, kept in a file for the runs to come."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..files import put_aside, replacing


class EncoderOutputs:
    """
    Outputs by sentence. The file knows sentences by their digests, and is of one encoder with one tokenizer: what
    another one left there is not used.

    Args:
        file (`Path`): need not exist; one that cannot be read is put aside in `<file>.broken`, and named.
        key (`str`): of encoder and tokenizer, see [`key_of_encoder`].
    """

    def __init__(self, file: Path, key: str):
        self.file, self.key = file, key
        self._found: dict[bytes, Tensor] = {}
        if file.is_file():
            try:
                with safe_open(file, "pt") as kept:
                    if (kept.metadata() or {}).get("key") == key:
                        digests, outputs = kept.get_tensor("digests"), kept.get_tensor("outputs")
                        self._found = dict(zip((bytes(row.tolist()) for row in digests), outputs))
            except (OSError, SafetensorError) as error:
                aside = put_aside(file)
                warnings.warn(
                    f"{file} cannot be read ({error}): it is put aside in {aside.name}, and the sentences are encoded "
                    "again.",
                    stacklevel=2,
                )

    def missing(self, sentences: Iterable[str]) -> list[str]:
        """The sentences that there is no output for, each once."""
        return sorted(sentence for sentence in set(sentences) if _digest(sentence) not in self._found)

    def add(self, outputs: dict[str, Tensor]) -> None:
        """Keep the outputs of more sentences; [`save`] writes them."""
        self._found |= {_digest(sentence): output for sentence, output in outputs.items()}

    def save(self) -> None:
        """Write all of it in place of what is there."""
        digests = torch.tensor([list(digest) for digest in self._found], dtype=torch.uint8)
        tensors = {"digests": digests, "outputs": torch.stack(list(self._found.values()))}
        with replacing(self.file) as new:
            save_file(tensors, new, metadata={"key": self.key})

    def of(self, sentences: Sequence[str]) -> Tensor:
        """The outputs of sentences, one above the other."""
        return torch.stack([self._found[_digest(sentence)] for sentence in sentences])


def key_of_encoder(model: Any, tokenizer: Any, max_length: int, without: nn.Module | None = None) -> str:
    """
    A digest of what the outputs depend on: the encoder's parameters, less those of a layer `without` which the outputs
    are taken, and what [`key_of_tokenizer`] looks at.
    """
    digest = hashlib.sha256(key_of_tokenizer(tokenizer, max_length).encode())
    left_out = set() if without is None else {id(parameter) for parameter in without.parameters()}
    for name, value in model.base_model.state_dict(keep_vars=True).items():
        if id(value) in left_out:
            continue
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def key_of_tokenizer(tokenizer: Any, max_length: int) -> str:
    """A digest of what a text's tokens depend on: the tokenizer, and where texts are cut."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        content = str(sorted(tokenizer.get_vocab().items()))
    else:
        # How texts were cut and padded when it was last called is kept there, too.
        parts = json.loads(backend.to_str())
        content = json.dumps({name: part for name, part in parts.items() if name not in ("truncation", "padding")})
    return hashlib.sha256(f"{max_length} {content}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _digest(sentence: str) -> bytes:
    return hashlib.sha256(sentence.encode("utf-8", "surrogatepass")).digest()
