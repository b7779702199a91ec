"""Files are whole or as they were; secrets are in none of them."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_metairm.files import DiskFullError, check_room, filling, in_one_line, is_full, put_aside, replacing, write
from hf_metairm.secrets import is_secret, public, without_secrets

from .faults import in_a_fork


class Stopped(Exception):  # noqa: N818
    pass


TOKEN = "hf_" + "aB3" * 12


@given(before=st.binary(), after=st.binary())
def test_a_file_is_replaced_as_a_whole(tmp_path_factory, before, after):
    file = tmp_path_factory.getbasetemp() / "replaced" / "file.bin"
    write(file, before)
    with suppress(Stopped), replacing(file) as new:
        new.write_bytes(after)
        raise Stopped
    assert file.read_bytes() == before
    write(file, after)
    assert file.read_bytes() == after
    assert os.listdir(file.parent) == ["file.bin"]


def test_what_a_killed_write_left_goes_with_the_next(tmp_path):
    with replacing(tmp_path / "a.png") as new:
        assert new.suffix == ".png", "matplotlib goes by it"
        new.write_bytes(b"x")
        left = new
    left.write_bytes(b"half of")
    write(tmp_path / "a.png", "ä\n")
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == "ä\n".encode()


def test_a_folder_is_filled_and_its_card_comes_last(tmp_path):
    folder, seen = tmp_path / "data", []
    for number in (1, 2):
        with filling(folder, last="README.md") as new:
            (new / "sub").mkdir()
            for name in ("README.md", "sub/rows"):
                (new / name).write_text(str(number))
            seen.append((folder / "README.md").is_file())
    assert {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()} == {
        "README.md": "2",
        "sub/rows": "2",
    }
    with suppress(Stopped), filling(folder, last="README.md") as new:
        (new / "README.md").write_text("3")
        raise Stopped
    assert (folder / "README.md").read_text() == "2"
    assert os.listdir(tmp_path) == ["data"]


def test_a_real_limit_is_a_full_disk(tmp_path):
    """The kernel's own refusal, for Python's writes, torch's and safetensors'."""
    import torch
    from safetensors.torch import save_file

    values = torch.zeros(10_000)

    def fill():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        ways = {
            "python": lambda new: new.write_bytes(bytes(10_000)),
            "torch": lambda new: torch.save(values, new),
            "safetensors": lambda new: save_file({"values": values}, new),
        }
        for name, way in ways.items():
            file = tmp_path / name
            with pytest.raises(DiskFullError, match=f"^The disk is full: {file} could not"), replacing(file) as new:
                way(new)
            assert (tmp_path / name).read_text() == "before"

    for name in ("python", "torch", "safetensors"):
        (tmp_path / name).write_text("before")
    log = tmp_path.with_name("log")
    assert in_a_fork(fill, log) == 0, log.read_text()
    assert sorted(os.listdir(tmp_path)) == ["python", "safetensors", "torch"]


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(ValueError, match=r"^a bug$"), replacing(tmp_path / "a"):
        raise ValueError("a bug")
    assert not is_full(ValueError("the glass is full"))
    assert is_full(OSError(errno.EDQUOT, "quota"))


def test_room_is_looked_for_first(tmp_path):
    check_room(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/folder cannot be written to \(Not a directory\): name another"):
        check_room(tmp_path / "file" / "folder")


def test_a_cache_that_cannot_be_written_to_is_named(monkeypatch):
    monkeypatch.setenv("HF_HOME", "/nowhere")
    error = PermissionError(errno.EACCES, "Permission denied", "/nowhere/datasets/x.lock")
    assert in_one_line(error) == "/nowhere cannot be written to (Permission denied): set HF_HOME to a folder of yours."
    assert in_one_line(OSError(errno.ENOSPC, "No space left on device", "/tmp/x")).startswith("The disk is full (")
    assert in_one_line(ValueError("no\n column")) == "no column"


def test_what_is_put_aside_is_kept(tmp_path):
    (tmp_path / "a.json").write_text("{")
    assert put_aside(tmp_path / "a.json").read_text() == "{"
    assert os.listdir(tmp_path) == ["a.json.broken"]


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "hub_token",
        "HF_TOKEN",
        "push_to_hub_token",
        "auth_token",
        "password",
        "api_key",
        "OPENAI_API_KEY",
        "client_secret",
    ],
)
def test_secret_names(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "tokens", "pad_token", "eos_token", "tokenizer", "num_input_tokens_seen", "secretary"],
)
def test_names_that_are_no_secrets(name):
    assert not is_secret(name)


def test_no_secret_is_in_a_text_or_in_settings(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "another-secret")

    class Arguments:
        hub_token = None

    args = Arguments()
    args.hub_token = "of-the-settings"
    text = f"{TOKEN} https://me:pass@host/a.csv another-secret of-the-settings user@host a://b/c@d"
    assert without_secrets(text, args) == (
        "(secret) https://(secret)@host/a.csv (secret) (secret) user@host a://b/c@d"
    )
    found = public({"a": {"hub_token": "x", "data": f"https://u:{TOKEN}@h/x"}, "b": [TOKEN, 1, None], "max_tokens": 3})
    assert found == {"a": {"data": "https://(secret)@h/x"}, "b": ["(secret)", 1, None], "max_tokens": 3}
    assert TOKEN not in json.dumps(found)
