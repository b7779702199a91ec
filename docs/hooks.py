"""What the site's generator does not know of itself: links to files outside `docs/`, and docstrings as on the Hub."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import griffe


LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#)([^)\s]+)\)")
CELL = re.compile(r"<td.*?</td>", re.DOTALL)
CODE = re.compile(r"(?<=<code>)[^<]+(?=</code>)")
REFERENCE = re.compile(r"\[`~?([\w.]+)`\](?![\[(])")
ARGUMENT = re.compile(r"^( +\*{0,2}\w+) \((.+?)(?:, \*optional\*.*?)?\):", re.MULTILINE)
RESULT = re.compile(r"^( +)`([^`]+)`:", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Name a file of the repository that is no page of the site, such as an example, in place of a link to it."""

    def named(link: re.Match[str]) -> str:
        text, target = link[1], PurePosixPath(page.file.src_uri).parent
        for part in PurePosixPath(link[2]).parts:
            if part == ".." and not target.parts:
                path = link[2].lstrip("./")
                return text if path in text else f"{text} (`{path}`)"
            target = target.parent if part == ".." else target / part
        return link[0]

    return LINK.sub(named, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Let names in tables break where their parts do: after a dot, a slash or an underscore."""
    return CELL.sub(lambda cell: CODE.sub(lambda code: re.sub(r"([._/])(?=\w)", r"\1<wbr>", code[0]), cell[0]), html)


class HubStyle(griffe.Extension):
    """
    Docstrings in the form of the Hugging Face libraries, in the words of the site's generator.

    A type is written without its backticks and without the default, which the signature shows; a [`Name`] becomes a
    link, where the site describes what it names, and plain code elsewhere.
    """

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called when the whole package has been read."""
        self._rewrite(pkg)

    def _rewrite(self, thing: griffe.Object) -> None:
        if thing.docstring is not None:
            text = ARGUMENT.sub(lambda m: f"{m[1]} ({_bare(m[2])}):", thing.docstring.value)
            text = RESULT.sub(r"\1\2:", text)
            thing.docstring.value = REFERENCE.sub(lambda m: _link(thing, m[1]), text)
        for member in thing.members.values():
            if not member.is_alias:
                self._rewrite(member)  # type: ignore[arg-type]


def _bare(annotation: str) -> str:
    return REFERENCE.sub(lambda m: m[1].rpartition(".")[2], annotation).replace("`", "")


def _link(thing: griffe.Object, name: str) -> str:
    try:
        path = thing.resolve(name)
    except griffe.NameResolutionError:
        path = name
    return f'<autoref optional identifier="{path}"><code>{name.rpartition(".")[2]}</code></autoref>'
