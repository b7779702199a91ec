"""Pictures that are made of facts say them still, and none asks another host for anything."""

from __future__ import annotations

import re
import runpy
import shlex
import xml.etree.ElementTree as ElementTree

import pytest

from .pages import README, ROOT
from .test_commands import check


BADGES = runpy.run_path(str(ROOT / "docs" / "badges.py"))
LIVE_TABLE = runpy.run_path(str(ROOT / "benchmarks" / "live_table.py"))
DRAWN = sorted([*(ROOT / "docs" / "badges").glob("*.svg"), *(ROOT / "docs" / "pictures").glob("*.svg")])
ON_A_TERMINAL = """\
Loading digits
Cut: 100 of 200
step 150 of 300  \x1b[38;5;197m━━━━━━━\x1b[0m  time left 0:00:10
loss 0.5  σ of the meta-losses 0.002
┏━━━━━━━━━━━━━┳━━━━━━━━┓
│ \x1b[1mp=0.1\x1b[0m       │ 0.5626 │
└─────────────┴────────┘

"""


@pytest.mark.parametrize("file", DRAWN, ids=lambda file: file.name)
def test_a_picture_needs_no_other_host(file):
    text = file.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    outside = re.sub(r'xmlns="[^"]*"|<!--.*?-->', "", text, flags=re.DOTALL)
    assert not re.findall(r"https?:|url\((?!#)|@import|@font-face|<script|<image", outside)


@pytest.mark.parametrize("file", BADGES["facts"]())
def test_a_badge_says_what_the_project_says(file):
    name, value = BADGES["facts"]()[file]
    drawn = (ROOT / "docs" / "badges" / f"{file}.svg").read_text(encoding="utf-8")
    assert drawn == BADGES["badge"](name, value), "python docs/badges.py writes it anew"
    assert re.search(rf"\[!\[{name}:? {re.escape(value)}\]", README.read_text(encoding="utf-8"), re.IGNORECASE)


def test_there_is_no_other_badge():
    assert {file.stem for file in (ROOT / "docs" / "badges").iterdir()} == set(BADGES["facts"]())
    assert len(re.findall(r"^\[!\[", README.read_text(encoding="utf-8"), re.MULTILINE)) == len(BADGES["facts"]())


def test_the_live_table_is_of_a_command_that_there_is():
    check(shlex.split(LIVE_TABLE["COMMAND"]))
    drawn = " ".join(ElementTree.parse(ROOT / "docs" / "pictures" / "live_table.svg").getroot().itertext())
    words = drawn.replace("\xa0", " ").split()
    assert set(shlex.split(LIVE_TABLE["COMMAND"])) <= set(words)
    assert {"environment", "risk", "accuracy,", "p=0.9", "(unseen)", "meta-losses"} <= set(words)


def test_what_a_terminal_shows_becomes_a_picture():
    lines = LIVE_TABLE["table_of"](ON_A_TERMINAL)
    assert lines.startswith("step 150 of 300")
    assert lines.endswith("┘")
    drawn = LIVE_TABLE["picture"](lines)
    assert "#ff005f" in drawn  # the colour of the bar
    assert "\x1b" not in drawn
    assert "p=0.1" in drawn
    assert "https://cdnjs" not in drawn
