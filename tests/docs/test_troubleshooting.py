"""The sentences that the troubleshooting page explains are those that the package says."""

from __future__ import annotations

import re

from .pages import ROOT


PAGE = ROOT / "docs" / "troubleshooting.md"


def test_refusals_are_quoted_as_they_are_said():
    files = (ROOT / "hf_metairm").rglob("*.py")
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    source = re.sub(r"\"\s*\n\s*f?\"", "", source)  # sentences that go on in the next line
    said = re.sub(r"\{[^{}]*\}", "…", source)
    quoted = re.findall(r"^\| `(.+?)` \|", PAGE.read_text(encoding="utf-8").split("## It refuses")[1], re.MULTILINE)
    assert len(quoted) >= 5
    for sentence in quoted:
        pattern = re.escape(sentence).replace("…", "['…]*")
        assert re.search(pattern, said), sentence
