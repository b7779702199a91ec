"""What is a secret, by one rule: it gets into no file, log or card."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any


HIDDEN = "(secret)"
_NAME = re.compile(r"(^|_)(token|password|secret|api_?key)$", re.IGNORECASE)
# Tokens of a text, not of a person.
_OF_TEXT = re.compile(r"(^|_)(bos|eos|pad|unk|sep|cls|mask|image|video|audio|boi|eoi)_token$", re.IGNORECASE)
_IN_TEXT = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b|(?<=://)[^\s/@]+(?=@)")
SHORTEST = 8  # Characters of a secret that is looked for in texts: a shorter one stands in many by chance.


def is_secret(name: str) -> bool:
    """Whether a setting of that name, such as `hub_token`, is nobody's business; `pad_token` and `max_tokens` are."""
    return _NAME.search(name) is not None and _OF_TEXT.search(name) is None


def without_secrets(text: str, settings: Any = None) -> str:
    """
    A text without the secrets of the environment (`HF_TOKEN`), without those among some settings, and without what
    looks like a token of the Hub or stands in an address as `https://name:password@`.

    Args:
        text (`str`): any.
        settings (*optional*): an object whose attributes are settings.
    """
    named = {**os.environ, **(vars(settings) if settings is not None else {})}
    secrets = {v for name, v in named.items() if is_secret(name) and isinstance(v, str) and len(v) >= SHORTEST}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _IN_TEXT.sub(HIDDEN, text)


def public(settings: Any) -> Any:
    """Settings, or what else JSON can hold, without secrets: those by their name are left out, others hidden."""
    if isinstance(settings, Mapping):
        return {name: public(value) for name, value in settings.items() if not is_secret(str(name))}
    if isinstance(settings, (list, tuple)):
        return [public(value) for value in settings]
    return without_secrets(settings) if isinstance(settings, str) else settings
