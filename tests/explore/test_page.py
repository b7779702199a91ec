"""The page of `hf-metairm explore` as a reader sees it: the command, its three tabs in a browser, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from .made import write_folder
from .test_found import WARM, directly


pytest.importorskip("gradio", reason="no gradio: pip install 'hf_metairm[explore]'")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def proxy():
    """Where whatever is asked of another machine would arrive."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        yield listening


@pytest.fixture(scope="module")
def command(browser, runs, proxy):
    """The command, on its way: the browser first, for it is what may lack."""
    words = [sys.executable, "-m", "hf_metairm", "explore", str(runs), "--no-open"]
    way_out = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), f"http://127.0.0.1:{proxy.getsockname()[1]}")
    environ = {**os.environ, **way_out, "HF_HUB_OFFLINE": "0", "PYTHONUNBUFFERED": "1"}
    done = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    yield done
    done.kill()
    done.communicate()


@pytest.fixture(scope="module")
def address(command):
    line = command.stdout.readline()
    assert line.startswith("The page: http://127.0.0.1:"), line + command.stderr.read()
    assert command.stdout.readline() == "Ctrl-C ends it.\n"
    return line.split()[-1]


def cells(page) -> list[list[str]]:
    """The texts of the table that is shown."""
    rows = page.locator(".wide:visible tr").all()
    return [[text.strip() for text in row.locator("th, td").all_inner_texts()] for row in rows]


def test_accuracy_and_trade_off(visit, address, runs):
    seen = visit(address)
    page = seen.page
    page.locator("img.picture:visible").wait_for()
    assert page.title() == f"hf-metairm: {runs.name}"
    assert page.locator("img.picture:visible").evaluate("image => image.naturalWidth") > 500
    assert cells(page)[0] == ["", "p=0.1", "p=0.2", "p=0.9 (unseen)", "worst"]
    assert cells(page)[2] == ["meta-irm", "64.0 ± 2.8", "63.5 ± 0.7", "62.0 ± 2.8", "62.0"]
    page.get_by_role("tab", name="Trade-off").click()
    page.get_by_text("Every run, accuracy in percent").wait_for()
    assert cells(page)[1] == ["erm", "0", "80.0", "85.0", "10.0"]
    worst = page.locator("img.picture:visible").get_attribute("src")
    page.get_by_label("mean").check()
    page.locator("img.picture:visible[alt*='the mean accuracy']").wait_for()
    assert page.locator("img.picture:visible").get_attribute("src") != worst
    # The results of another file, which has other environments.
    page.get_by_label("Results").click()
    page.get_by_role("option", name="search").click()
    page.get_by_role("columnheader", name="unseen (unseen)").wait_for()
    assert page.get_by_label("Unseen environment").input_value() == "unseen"
    assert cells(page)[1:] == [["v-rex", "7", "70.0", "80.0", "65.0"]]
    page.get_by_role("tab", name="Accuracy by environment").click()
    page.get_by_role("columnheader", name="unseen (unseen)").wait_for()
    assert cells(page)[1] == ["v-rex", "70.0 ± 2.3", "90.0 ± 1.5", "65.0 ± 2.4", "65.0"]
    assert seen.left == []
    assert seen.errors == []


def test_a_sentence_and_the_same_with_its_cue_turned_round(visit, address, runs):
    seen = visit(address)
    page = seen.page
    page.get_by_role("tab", name="Try a sentence").click()
    page.get_by_role("button", name="Classify").click()
    page.get_by_text("The text is empty: type a sentence first.").wait_for()
    page.get_by_label("A sentence").fill(WARM)
    page.get_by_role("button", name="Classify").click()
    page.get_by_text("The largest change").wait_for()
    assert page.get_by_label("Another version of it").input_value() == WARM.replace(".", "!")
    for place, name in enumerate(("erm-seed0", "meta-irm-seed0")):
        typed, turned = directly(runs / name, [WARM, WARM.replace(".", "!")])
        rows = [row[-2:] for row in cells(page)[1 + 3 * place : 4 + 3 * place]]
        assert rows[0] == [f"{100 * p:.1f}" for p in typed]
        assert rows[1] == [f"{100 * p:.1f}" for p in turned]
        assert rows[2] == [f"{100 * p:+.1f}" for p in turned - typed]
    # A version of the reader's own is kept, and a model that is not ticked says nothing.
    page.get_by_label("Another version of it").fill("Dull <b>from</b> ${start} to {{end}}")
    page.get_by_label("meta-irm-seed0").uncheck()
    page.get_by_role("button", name="Classify").click()
    own = directly(runs / "erm-seed0", ["Dull <b>from</b> ${start} to {{end}}"])[0]
    page.locator("td", has_text=re.compile(rf"^{100 * own[0]:.1f}$")).wait_for()
    assert len(cells(page)) == 4
    assert page.get_by_label("Another version of it").input_value() == "Dull <b>from</b> ${start} to {{end}}"
    assert seen.left == []
    assert seen.errors == []


def test_a_narrow_dark_window_needs_no_sideways_scroll(visit, address):
    seen = visit(address, width=400, scheme="dark")
    page = seen.page
    page.locator("img.picture:visible").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    for name in ("Accuracy by environment", "Trade-off", "Try a sentence"):
        page.get_by_role("tab", name=name).click()
        page.locator(f"[role=tab][aria-selected=true]:text-is('{name}')").wait_for()
        assert seen.too_wide() == 0, name
    page.get_by_label("A sentence").fill("words " * 60)
    page.get_by_role("button", name="Classify").click()
    page.get_by_text("reads the first 32 tokens").first.wait_for()
    assert seen.too_wide() == 0
    assert seen.left == []
    assert seen.errors == []


def test_ctrl_c_ends_it_while_the_page_is_open_and_nothing_has_left_the_machine(visit, address, command, proxy):
    visit(address).page.locator("img.picture:visible").wait_for()
    command.send_signal(signal.SIGINT)
    printed, said = command.communicate(timeout=60)
    assert command.returncode == 0
    assert printed == "The page is closed.\n"
    assert said == ""
    with pytest.raises(TimeoutError):
        proxy.accept()
