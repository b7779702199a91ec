"""What the tests of pages lean on: a request that leaves the machine, an error and a wide page are seen."""

from __future__ import annotations

import pytest

from .browser import stays


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:7860/config", True),
        ("ws://localhost:80/queue", True),
        ("http://[::1]/", True),
        ("data:image/png;base64,AAAA", True),
        ("https://fonts.googleapis.com/css2", False),
        ("https://127.0.0.1.example.org/", False),
        ("//10.0.0.1/x", False),
    ],
)
def test_which_requests_stay_on_the_machine(address, said):
    assert stays(address) == said


PAGE = """<!doctype html><title>A page</title><body style="margin: 0"><p style="width: 450px">wide
<script>fetch("https://example.org/track").catch(() => null); console.error("broken"); nowhere()</script>"""


def test_what_a_page_should_not_do_is_seen(visit, tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    seen = visit((tmp_path / "page.html").as_uri(), width=400, scheme="dark")
    assert seen.page.title() == "A page"
    assert seen.left == ["https://example.org/track"]
    assert "broken" in seen.errors
    assert any("nowhere" in error for error in seen.errors)
    assert seen.too_wide() == 50
    assert seen.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert visit((tmp_path / "page.html").as_uri()).too_wide() == 0
