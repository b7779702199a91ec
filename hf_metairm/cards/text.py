"""What a card is written with: names that cannot break out of their place, tables, BibTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..names import one_line


META_IRM_PAPER = """@article{bae2021meta,
  title={Meta-Learned Invariant Risk Minimization},
  author={Bae, Jun-Hyun and Choi, Inchul and Lee, Minho},
  journal={arXiv preprint arXiv:2103.12947},
  year={2021}
}"""


def code(value: Any) -> str:
    """A name as code: in a code span nothing of it is read as Markdown or HTML, and no link is made of it."""
    text = one_line(value)
    if not text:
        return "(empty)"
    # A code span cannot hold these in every place, such as a table's cell.
    return f"<code>{plain(text)}</code>" if re.search(r"[`|\\]", text) else f"`{text}`"


def plain(value: Any) -> str:
    """A user's text as text: whatever Markdown or HTML could read as theirs is written as a character reference."""
    return re.sub(r"[^\w\s.,;()+='’%–—/·θλσαΣ-]|_|(?<=/)/", lambda c: f"&#{ord(c[0])};", one_line(value))


def names(values: Iterable[Any], conjunction: str = "and") -> str:
    """Names as code in a sentence: `a`, `b` and `c`."""
    words = [code(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}" if words else "none"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A Markdown table; `right` lists the columns that stand to the right."""
    rule = ["---:" if column in right else "---" for column in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [list(header), rule, *map(list, rows)])


def number(value: Any) -> str:
    """A setting's value as one writes it."""
    value = getattr(value, "value", value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def quoted(value: Any) -> str:
    """A name as a string of Python, on one line."""
    return json.dumps(one_line(value), ensure_ascii=False)


def software_citation(version: str) -> str:
    """This library as BibTeX."""
    return f"""@software{{hf_metairm,
  title={{hf\\_metairm: meta-learned invariant risk minimization for the Hugging Face Trainer}},
  author={{The hf\\_metairm authors}},
  version={{{version}}}
}}"""


def bibliography(*entries: str | None) -> str:
    """BibTeX entries, each key once; nothing that ends a block of code."""
    found: dict[str, str] = {}
    for entry in re.findall(r"@\w+\{.*?\n\}", "\n".join(filter(None, entries)), re.DOTALL):
        found.setdefault(entry.split("{", 1)[1].split(",", 1)[0], entry)
    return "\n\n".join(found.values()).replace("```", "'''")
