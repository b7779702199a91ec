"""What the Hub tells about a repository and its files, in the form that its client reads."""

from __future__ import annotations

import json
import re
from hashlib import sha1

import yaml

from . import cards
from .server import Response
from .storage import Commit, File, HubError, Repo


# By the end of a model class's name.
TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForImageClassification": "image-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
}


def info(repo: Repo, commit: Commit, blobs: bool = False) -> dict:
    """The answer to `model_info` and `dataset_info`."""
    try:
        card = cards.metadata(commit.files["README.md"].content.decode()) if "README.md" in commit.files else None
    except (yaml.YAMLError, UnicodeDecodeError):
        card = None
    card = card if isinstance(card, dict) else {}
    siblings = []
    for path, file in sorted(commit.files.items()):
        sibling = {"rfilename": path}
        if blobs:
            sibling |= {"size": file.size, "blobId": file.blob_id}
            if file.lfs:
                sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
        siblings.append(sibling)
    answer = {
        "_id": sha1(f"{repo.type} {repo.id}".encode()).hexdigest()[:24],
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.oid,
        "createdAt": repo.created,
        "lastModified": commit.date,
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": cards.tags(card),
        "siblings": siblings,
        "usedStorage": sum(file.size for file in commit.files.values()),
    }
    if card:
        answer["cardData"] = card
    if repo.type == "model":
        answer["modelId"] = repo.id
        answer |= _guesses(commit)
        answer |= {key: card[key] for key in ("library_name", "pipeline_tag", "model-index") if key in card}
    return answer


def _guesses(commit: Commit) -> dict:
    """What the Hub concludes from a model's files where its card is silent."""
    if "adapter_config.json" in commit.files:
        return {"library_name": "peft"}
    try:
        config = json.loads(commit.files["config.json"].content)
        architecture = config["architectures"][0]
    except (KeyError, IndexError, TypeError, ValueError):
        return {}
    task = next((task for ending, task in TASKS.items() if architecture.endswith(ending)), None)
    config = {key: config[key] for key in ("architectures", "model_type", "auto_map") if key in config}
    answer = {"library_name": "transformers", "config": config}
    return answer | {"pipeline_tag": task} if task else answer


def tree(commit: Commit, folder: str, recursive: bool, expand: bool) -> list[dict]:
    """The entries of a folder; with everything below where recursive."""
    folder = folder.strip("/")
    start = len(folder) + 1 if folder else 0
    paths = set()
    for path in commit.below(folder):
        parts = path[start:].split("/")
        depths = range(1, len(parts) + 1) if recursive else (1,)
        paths |= {path[:start] + "/".join(parts[:depth]) for depth in depths}
    return [entry(commit, path, expand) for path in sorted(paths)]


def entry(commit: Commit, path: str, expand: bool) -> dict | None:
    """One file or folder; `None` where there is neither."""
    if path in commit.files:
        file = commit.files[path]
        answer = {"type": "file", "oid": file.blob_id, "size": file.size, "path": path}
        if file.lfs:
            answer["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
    elif path and commit.below(path):
        answer = {"type": "directory", "oid": commit.tree_id(path), "size": 0, "path": path}
    else:
        return None
    if expand:
        last = commit.last_change(path)
        answer["lastCommit"] = {"id": last.oid, "title": last.title, "date": last.date}
    return answer


def download(file: File, commit_oid: str, wanted: str | None) -> Response:
    """The content, or the part that a `Range` header asks for."""
    headers = {"X-Repo-Commit": commit_oid, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    match = re.fullmatch(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", wanted or "", re.IGNORECASE)
    if not match or match.groups() == ("", ""):
        return Response(200, file.content, headers)
    first, last = match.groups()
    start = int(first) if first else max(file.size - int(last), 0)
    stop = min(int(last) + 1, file.size) if first and last else file.size
    if start >= stop:
        raise HubError(416, "Range Not Satisfiable", Content_Range=f"bytes */{file.size}")
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    return Response(206, file.content[start:stop], headers)
