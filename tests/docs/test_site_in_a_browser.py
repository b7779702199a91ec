"""The site as a person sees it, on a narrow telephone, by day and by night: every page, in the machine's Chromium."""

from __future__ import annotations

import functools
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ..browser import Visit


NARROW = 400
SCHEMES = {"light": "default", "dark": "slate"}
# What is wrong with the page that is open: by scheme, text paler than WCAG's 4.5 : 1 and how far it is too wide; also
# pictures that are not there, or have no ground of their own and so stand on whatever the scheme has. And its links.
LOOK = r"""
(schemes) => {
  const still = document.createElement("style");
  still.textContent = "* { transition: none !important }";
  document.head.append(still);
  const numbers = colour => { const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, below) => [0, 1, 2].map(k => top[k] * top[3] + below[k] * (1 - top[3])).concat(1);
  const light = colour => [0.2126, 0.7152, 0.0722].reduce((sum, share, k) => {
    const v = colour[k] / 255;
    return sum + share * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const contrast = (a, b) => {
    const [dark, bright] = [light(a), light(b)].sort((p, q) => p - q);
    return (bright + 0.05) / (dark + 0.05);
  };
  const above = element => { const all = []; for (let e = element; e; e = e.parentElement) all.push(e); return all; };
  const ground = element => above(element).map(e => numbers(getComputedStyle(e).backgroundColor))
    .reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  const words = element => [...element.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
  const shown = {opacityProperty: true, visibilityProperty: true};
  const found = {pale: {}, wide: {}, pictures: []};
  for (const scheme of schemes) {
    document.body.dataset.mdColorScheme = scheme;
    const seen = new Set();
    found.pale[scheme] = [];
    for (const element of document.querySelectorAll("body *")) {
      if (!words(element)) continue;
      const like = e => `${e.tagName}.${e.className}${e.getAttribute("style") ?? ""}`;
      const kind = above(element).slice(0, 3).map(like).join(" in ");
      if (seen.has(kind) || !element.checkVisibility(shown)) continue;
      seen.add(kind);
      const below = ground(element), ink = numbers(getComputedStyle(element).color);
      ink[3] *= above(element).reduce((product, e) => product * getComputedStyle(e).opacity, 1);
      const value = contrast(over(ink, below), below);
      const start = element.textContent.trim().slice(0, 30);
      if (value < 4.5) found.pale[scheme].push(`${value.toFixed(2)} "${start}" ${kind}`);
    }
    found.wide[scheme] = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  }
  const canvas = Object.assign(document.createElement("canvas"), {width: 40, height: 40});
  const drawing = canvas.getContext("2d", {willReadFrequently: true});
  for (const picture of document.images) {
    if (!picture.naturalWidth) { found.pictures.push(picture.src + " is not there"); continue; }
    drawing.clearRect(0, 0, 40, 40);
    drawing.drawImage(picture, 0, 0, 40, 40);
    const alphas = drawing.getImageData(0, 0, 40, 40).data.filter((_, k) => k % 4 === 3);
    if (alphas.filter(a => a > 250).length < 0.9 * alphas.length) found.pictures.push(picture.src + " has no ground");
  }
  found.ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  found.links = [...document.links].map(link => link.href);
  return found;
}
"""


class _Quiet(SimpleHTTPRequestHandler):
    """Writes nothing, and has the browser keep what all pages share."""

    def log_message(self, *_) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=600")
        super().end_headers()


@pytest.fixture(scope="module")
def served() -> Iterator:
    """Serves a folder on this machine, and returns its address."""
    servers = []

    def serve(folder: Path) -> str:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def faults(visit, address: str, pages: list[str]) -> dict[str, list[str]]:
    """What is wrong with each of the pages below an address, in one window."""
    wrong: dict[str, list[str]] = defaultdict(list)
    links, ids = {}, {}
    seen: Visit = visit("about:blank", width=NARROW)
    for page in pages:
        seen.page.goto(address + page)
        found = seen.page.evaluate(LOOK, list(SCHEMES.values()))
        for scheme, pale in found["pale"].items():
            wrong[page] += [f"{scheme}: {text}" for text in pale]
        wrong[page] += [f"{scheme}: {by} px too wide" for scheme, by in found["wide"].items() if by]
        wrong[page] += [*found["pictures"], *seen.errors, *(f"asked for {asked}" for asked in seen.left)]
        seen.errors.clear()
        seen.left.clear()
        links[page], ids[page] = found["links"], found["ids"]
    for page, targets in links.items():
        for target in targets:
            if target.startswith(address):
                parts = urlsplit(target.removeprefix(address))
                path = parts.path or "index.html"
                if path in ids and parts.fragment and unquote(parts.fragment) not in ids[path]:
                    wrong[page].append(f"links to {path}#{parts.fragment}: no such place")
                elif path not in ids and path.endswith(".html"):
                    wrong[page].append(f"links to {path}: no such page")
    return {page: said for page, said in wrong.items() if said}


def test_every_page(site, served, visit):
    pages = sorted(str(page.relative_to(site)) for page in site.rglob("*.html"))
    assert len(pages) > 40
    assert faults(visit, served(site), pages) == {}


def test_the_scheme_is_that_of_the_system_and_of_the_reader(site, served, visit):
    address = served(site)
    for scheme, name in SCHEMES.items():
        page = visit(address, width=NARROW, scheme=scheme).page
        assert page.locator("body").get_attribute("data-md-color-scheme") == name
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("body[data-md-color-scheme=default]")
    for name in ("default", "slate"):  # The button goes from the system's to light, to dark.
        page.locator("[data-md-component=palette] label:visible").click()
        page.wait_for_selector(f"body[data-md-color-scheme={name}]")
    page.goto(address + "own_data.html")
    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"


def test_the_search_finds_a_page(site, served, visit):
    seen = visit(served(site), width=NARROW)
    seen.page.locator("label[for=__search]:visible").first.click()
    seen.page.locator("input[name=query]").press_sequentially("split_by_environment")
    seen.page.locator(".md-search-result__link[href*='releases.html']").first.wait_for()
    assert (seen.left, seen.errors) == ([], [])


FAULTY = """<!doctype html><meta charset="utf-8"><title>Faulty</title><link rel="icon" href="data:,">
<style>body {margin: 0; background: white} [data-md-color-scheme=slate] {background: #222}</style>
<body><p style="color: #888">pale by day</p><p style="color: #666">pale by night</p><p style="color: #777">grey</p>
<div style="opacity: 0.4"><b style="color: #000; background: #fff">faded</b></div>
<p style="width: 430px">wide</p><img src="nowhere.png" alt=""><img src="clear.svg" alt=""><img src="whole.svg" alt="">
<p style="color: #888; visibility: hidden">hidden</p>
<a style="background: #fff" href="other.html">a page</a> <a style="background: #fff" href="#nowhere">a place</a>"""
SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="{}" height="40"/></svg>'


def test_what_is_wrong_is_found(tmp_path, served, visit):
    (tmp_path / "faulty.html").write_text(FAULTY, encoding="utf-8")
    (tmp_path / "clear.svg").write_text(SQUARE.format(10))
    (tmp_path / "whole.svg").write_text(SQUARE.format(40))
    said = "\n".join(faults(visit, served(tmp_path), ["faulty.html"])["faulty.html"])
    for fault in (
        'default: 3.54 "pale by day"',
        'slate: 2.77 "pale by night"',
        'default: 4.48 "grey"',
        'default: 2.85 "faded"',
        "default: 30 px too wide",
        "nowhere.png is not there",
        "404 (File not found)",
        "clear.svg has no ground",
        "links to other.html: no such page",
        "links to faulty.html#nowhere: no such place",
    ):
        assert fault in said, f"{fault} is not in:\n{said}"
    assert "hidden" not in said
    assert "whole.svg" not in said
    assert 'default: 5.74 "pale by night"' not in said
