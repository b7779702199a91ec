"""A browser for tests of pages: the machine's own Chromium, driven by playwright. See `visit` in conftest.py."""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest


# Names are not resolved, so that not even a request that should not be there leaves the machine.
OPTIONS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]


@dataclass
class Visit:
    """
    A page in a window of its own, and what it did that it should not.

    Args:
        page (`playwright.sync_api.Page`): to open addresses in, click and read.
        left (`list[str]`): addresses that it asked for outside of this machine.
        errors (`list[str]`): of its scripts, and all that the console shows as an error.
    """

    page: Any
    left: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def _asked(self, address: str) -> None:
        if not stays(address):
            self.left.append(address)

    def too_wide(self) -> int:
        """By how many pixels the page is wider than its window: 0 where nobody has to scroll sideways."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def stays(address: str) -> bool:
    """Whether a request for this address stays on this machine."""
    parts = urlsplit(address)
    if parts.scheme in ("file", "data", "blob", "about"):
        return True
    host = parts.hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser that runs; the test is skipped, with the reason, where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()
