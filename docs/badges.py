"""
The README's badges: what pyproject.toml says, as pictures that need no other host. `python docs/badges.py` writes them
into `docs/badges/`; a test holds these against pyproject.toml.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from matplotlib.textpath import TextPath


ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "badges"
SIZE, MARGIN, HEIGHT = 11, 7, 20  # in pixels
BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img" aria-label="{name}: {value}">
  <title>{name}: {value}</title>
  <clipPath id="round"><rect width="{width}" height="{height}" rx="3"/></clipPath>
  <g clip-path="url(#round)">
    <rect width="{left}" height="{height}" fill="#444"/>
    <rect x="{left}" width="{right}" height="{height}" fill="#2b5ea8"/>
  </g>
  <g fill="#fff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="{size}" text-anchor="middle">
    <text x="{middle_left}" y="14" textLength="{text_left}">{name}</text>
    <text x="{middle_right}" y="14" textLength="{text_right}">{value}</text>
  </g>
</svg>
"""


def facts() -> dict[str, tuple[str, str]]:
    """By the badge's file: what it is about, and what pyproject.toml says of it."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    def said(pattern: str) -> str:
        (found,) = re.findall(pattern, project, re.MULTILINE)
        return str(found)

    return {
        "license": ("license", said(r'^license = "(.+)"')),
        "python": ("python", said(r'^requires-python = ">=(.+)"') + " or later"),
        "types": ("types", said(r"^\[tool\.(mypy)\]")),
        "status": ("status", said(r'"Development Status :: \d - (\w+)"').lower()),
        "docs": ("docs", "in this repository"),
    }


def badge(name: str, value: str) -> str:
    """One of them, as SVG."""
    # DejaVu Sans, which comes with matplotlib, is as wide as Verdana.
    left, right = (round(TextPath((0, 0), text, SIZE).get_extents().xmax) + 2 * MARGIN for text in (name, value))
    return BADGE.format(
        name=escape(name),
        value=escape(value),
        height=HEIGHT,
        size=SIZE,
        width=left + right,
        left=left,
        right=right,
        text_left=left - 2 * MARGIN,
        text_right=right - 2 * MARGIN,
        middle_left=left / 2,
        middle_right=left + right / 2,
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, (name, value) in facts().items():
        (FOLDER / f"{file}.svg").write_text(badge(name, value), encoding="utf-8")
