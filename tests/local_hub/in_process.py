"""Points libraries that are already imported, in this process, at a local Hub."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from .hub import LocalHub


def connect(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `huggingface_hub`, `datasets` and `transformers` take `hub` for the Hub until the test ends.

    They read most of their settings from the environment when they are imported. So they are imported first, under
    the suite's own offline settings (a module first imported later would keep this Hub's for good), then the
    settings are changed one by one.
    """
    for name in ("huggingface_hub.hf_api", "datasets", "transformers.utils.hub"):
        importlib.import_module(name)
    constants = sys.modules["huggingface_hub.constants"]
    home = Path(hub.home)
    for name, value in hub.environ.items():
        monkeypatch.setenv(name, value)

    def put(module: str, **values) -> None:
        for name, value in values.items():
            # `raising`: a setting that a new version has dropped is to be noticed here.
            monkeypatch.setattr(sys.modules[module], name, value, raising=True)

    put(
        "huggingface_hub.constants",
        ENDPOINT=hub.url,
        HUGGINGFACE_CO_URL_TEMPLATE=hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        HF_URL_HOSTS=constants.HF_URL_HOSTS | {"127.0.0.1"},
        HF_HUB_OFFLINE=False,
        HF_HUB_DISABLE_XET=True,
        HF_HOME=str(home),
        HF_HUB_CACHE=str(home / "hub"),
        HF_ASSETS_CACHE=str(home / "assets"),
        HF_TOKEN_PATH=str(home / "token"),
        HF_STORED_TOKENS_PATH=str(home / "stored_tokens"),
        AGENT_HARNESSES_PATH=str(home / ".agent_harnesses.json"),
    )
    # Before version 2 cards are checked at an address that is no setting.
    repocard = importlib.import_module("huggingface_hub.repocard")
    session = repocard.get_session

    class Session:
        def post(self, url: str, **options):
            return session().post(url.replace("https://huggingface.co/", f"{hub.url}/"), **options)

    monkeypatch.setattr(repocard, "get_session", Session)
    # Made at import with the real endpoint; behind `huggingface_hub.create_repo` and its like.
    monkeypatch.setattr(sys.modules["huggingface_hub.hf_api"].api, "endpoint", hub.url)
    put("transformers.utils.hub", _hf_api=None)
    put(
        "datasets.config",
        HF_ENDPOINT=hub.url,
        HUB_DATASETS_URL=hub.url + "/datasets/{repo_id}/resolve/{revision}/{path}",
        HF_HUB_OFFLINE=False,
        HF_DATASETS_OFFLINE=False,
        HF_UPDATE_DOWNLOAD_COUNTS=False,
        HF_CACHE_HOME=str(home),
        HF_DATASETS_CACHE=home / "datasets",
        DOWNLOADED_DATASETS_PATH=home / "datasets" / "downloads",
        EXTRACTED_DATASETS_PATH=home / "datasets" / "downloads" / "extracted",
    )
    forget_connections()


def forget_connections() -> None:
    """Drop what the client keeps between calls: open connections with their proxies, and listings of folders."""
    from huggingface_hub import HfFileSystem, close_session

    close_session()
    HfFileSystem.clear_instance_cache()
