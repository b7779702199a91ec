"""Pieces of the page: tables, pictures and paragraphs in which names from anywhere are only names."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from ..names import one_line


_ONE_AT_A_TIME = Lock()  # pyplot's figures are those of the whole process


def words(value: object) -> str:
    """A name or text on one line, in which nothing is markup, and nothing a template of Gradio's."""
    text = escape(one_line(value))
    return text.replace("$", "&#36;").replace("{", "&#123;").replace("`", "&#96;")


def paragraph(*sentences: object) -> str:
    """Sentences, one after the other."""
    return f"<p>{words(' '.join(map(str, sentences)))}</p>"


def table(header: Sequence[object], rows: Iterable[Sequence[object]], caption: str) -> str:
    """A table that scrolls by itself where it is wider than the page; its first column names the rows."""
    head = "".join(f'<th scope="col">{words(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{words(first)}</th>{"".join(f"<td>{words(value)}</td>" for value in others)}</tr>'
        for first, *others in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><caption>{words(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def picture(draw: Callable[[Path], None], alt: str) -> str:
    """What a function draws into a PNG, as a part of the page itself."""
    with TemporaryDirectory() as folder, _ONE_AT_A_TIME:
        file = Path(folder, "picture.png")
        draw(file)
        content = base64.b64encode(file.read_bytes()).decode()
    return f'<img class="picture" alt="{words(alt)}" src="data:image/png;base64,{content}">'
