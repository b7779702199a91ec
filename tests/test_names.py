"""Names from data, wherever they are shown, are read as nothing but names."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from hf_metairm.names import cell, one_line
from hf_metairm.ordering import listed, sorted_words


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[/red]", "[/red]"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        (":smile:", ":smile:"),
        ("\\", "\\"),
        ("a\nb\r\nc\td", "a b c d"),
        ("\x1b[31mred", "[31mred"),
        ("\u202egnp", "gnp"),
        ("x\u2028y\x00z", "x y z"),
        ("学 é", "学 é"),
    ],
)
def test_a_name_in_a_table_is_that_name(name, shown):
    assert one_line(name) == shown
    out = io.StringIO()
    table = Table(show_header=False, box=None)
    table.add_row(cell(name))
    Console(file=out, width=40, force_terminal=True, color_system="truecolor").print(table)
    assert out.getvalue().strip() == shown


def test_words_in_a_sentence():
    assert sorted_words(["10", "9", "9", "-1"]) == ["-1", "9", "10"]
    assert sorted_words(["10", "9", "a"]) == ["10", "9", "a"]
    assert listed(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert listed(map(str, range(1200))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (1,200 in all)"
