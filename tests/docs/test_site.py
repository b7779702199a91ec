"""The documentation as a site: it builds without a warning, asks no other host for anything, and knows every name."""

from __future__ import annotations

import re

import pytest

import hf_metairm

from .pages import PAGES, name_of, prose


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tables_have_heads_and_headings_differ(page):
    text = prose(page)
    assert not re.findall(r"^\|(?:[ :]*\|)+\n\|[-: |]+\|$", text, re.MULTILINE)
    headings = [heading for _, heading in re.findall(r"^(##?#?) (.+)$", text, re.MULTILINE)]
    assert len(headings) == len(set(headings))


def test_nothing_is_fetched_from_another_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        html = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>", html), (
            page.name
        )


def test_the_reference_describes_every_public_name(site):
    html = (site / "api.html").read_text(encoding="utf-8")
    described = set(re.findall(r'id="hf_metairm\.(\w+)"', html))
    assert set(hf_metairm.__all__) <= described
    # Types without the backticks of the docstring, and [`Name`] as a link.
    assert "`float`" not in re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL)
    assert re.search(r'<a class="autorefs[^>]*#hf_metairm\.[\w.]*StdLoss"[^>]*><code>StdLoss', html)


def test_files_outside_of_the_site_are_named_and_not_linked(site):
    html = (site / "own_data.html").read_text(encoding="utf-8")
    assert "trainer_examples/own_data.py" in html
    assert not re.search(r'href="[^"]*trainer_examples', html)


def test_names_in_tables_break_at_their_dots(site):
    html = (site / "releases.html").read_text(encoding="utf-8")
    assert "<code>hf_<wbr>metairm.<wbr>datasets.<wbr>publish</code></td>" in html
    assert "<wbr>" not in "".join(re.findall(r"<pre.*?</pre>", html, re.DOTALL))
    search = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "hf_metairm.datasets.publish" in search
