"""What the local Hub keeps: repositories with commits, branches, tags and large files, all in memory."""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property


# The Hub writes this file into every new repository; it decides which files are stored as large files.
LFS_PATTERNS = [
    *("*.7z", "*.arrow", "*.bin", "*.ckpt", "*.gz", "*.h5", "*.joblib", "*.model", "*.msgpack", "*.npy", "*.npz"),
    *("*.onnx", "*.parquet", "*.pb", "*.pickle", "*.pkl", "*.pt", "*.pth", "*.safetensors", "*.tar", "*.tar.*"),
    *("*.tgz", "*.zip", "*.zst", "*tfevents*"),
]
LFS_PATTERNS_OF_DATASETS = [
    *("*.bmp", "*.flac", "*.gif", "*.jpeg", "*.jpg", "*.lz4", "*.mp3", "*.mp4", "*.png", "*.tiff", "*.wav", "*.webp"),
]
LFS_THRESHOLD = 10 * 1024 * 1024


class HubError(Exception):
    """An answer of the Hub other than success, with the error code that its client turns into an exception."""

    def __init__(self, status: int, message: str, code: str | None = None, **headers: str):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True)
class File:
    """One version of one file."""

    content: bytes = field(repr=False)
    lfs: bool = False

    @property
    def size(self) -> int:
        return len(self.content)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @cached_property
    def blob_id(self) -> str:
        """Git's own id of the blob: of the pointer where the content is a large file."""
        stored = self.pointer if self.lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class Commit:
    """A snapshot of all files."""

    oid: str
    parent: Commit | None = field(repr=False)
    files: dict[str, File] = field(repr=False)
    title: str
    message: str
    author: str
    date: str

    def history(self) -> list[Commit]:
        commits, commit = [], self
        while commit is not None:
            commits.append(commit)
            commit = commit.parent
        return commits

    def below(self, folder: str) -> dict[str, File]:
        """The files in a folder, at any depth; all of them for the empty path."""
        prefix = folder.strip("/") + "/" if folder.strip("/") else ""
        return {path: file for path, file in self.files.items() if path.startswith(prefix)}

    def tree_id(self, folder: str) -> str:
        listing = "\n".join(f"{path} {file.blob_id}" for path, file in sorted(self.below(folder).items()))
        return hashlib.sha1(f"tree {folder} {listing}".encode()).hexdigest()

    def last_change(self, path: str) -> Commit:
        """The newest commit that changed a file, or any file of a folder."""
        for commit in self.history():
            before = commit.parent.files if commit.parent is not None else {}
            for changed in commit.files.keys() | before.keys():
                inside = changed == path or changed.startswith(path + "/")
                if inside and commit.files.get(changed) != before.get(changed):
                    return commit
        raise KeyError(path)


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Repo:
    """A repository of one type: its settings, commits, references and uploaded large files."""

    _serial = itertools.count()

    def __init__(self, repo_type: str, repo_id: str, author: str, private: bool = False):
        self.type, self.id, self.private = repo_type, repo_id, private
        self.gated: str | bool = False
        self.created = now()
        self.blobs: dict[str, bytes] = {}
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.pull_requests: dict[str, str] = {}
        patterns = LFS_PATTERNS + (LFS_PATTERNS_OF_DATASETS if repo_type == "dataset" else [])
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns)
        self.branches["main"] = self._add(
            None, {".gitattributes": File(attributes.encode())}, "initial commit", author
        )

    @property
    def namespace(self) -> str:
        return self.id.split("/")[0]

    @property
    def head(self) -> Commit:
        return self.commits[self.branches["main"]]

    def resolve(self, revision: str) -> Commit:
        """The commit behind a branch, tag, pull request or (short) commit id."""
        for refs, prefix in ((self.branches, "refs/heads/"), (self.tags, "refs/tags/"), (self.pull_requests, "")):
            if (name := revision.removeprefix(prefix)) in refs:
                return self.commits[refs[name]]
        if re.fullmatch("[0-9a-f]{7,40}", revision):
            for oid, commit in self.commits.items():
                if oid.startswith(revision):
                    return commit
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def is_large(self, path: str, size: int, files: dict[str, File]) -> bool:
        """Whether `.gitattributes` or the size makes this a large file."""
        attributes = files[".gitattributes"].content.decode() if ".gitattributes" in files else ""
        patterns = [line.split()[0] for line in attributes.splitlines() if "filter=lfs" in line]
        name = path.rsplit("/", 1)[-1]
        return size > LFS_THRESHOLD or any(fnmatch.fnmatchcase(path if "/" in p else name, p) for p in patterns)

    def commit(self, revision: str, operations: list[tuple[str, dict]], author: str, new_pull_request: bool) -> str:
        """Apply the operations of one commit request and return the new commit's id; all of them or none."""
        header = next((value for key, value in operations if key == "header"), {})
        if new_pull_request:
            refs, name, base = self.pull_requests, f"refs/pr/{len(self.pull_requests) + 1}", self.resolve(revision)
        elif revision in self.branches:
            refs, name, base = self.branches, revision, self.commits[self.branches[revision]]
        elif revision in self.pull_requests:
            refs, name, base = self.pull_requests, revision, self.commits[self.pull_requests[revision]]
        else:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        expected = header.get("parentCommit")
        if expected and not base.oid.startswith(expected):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(base.files)
        for key, value in operations:
            if key != "header":
                self._apply(files, key, value)
        title = header.get("summary") or "Update files"
        refs[name] = self._add(base, files, title, author, header.get("description", ""))
        return refs[name]

    def _apply(self, files: dict[str, File], key: str, value: dict) -> None:
        path = value.get("path", "")
        if not path or path.startswith("/") or set(path.rstrip("/").split("/")) & {"", ".", "..", ".git"}:
            raise HubError(400, f"Invalid path: {path!r}")
        if key == "file":
            files[path] = File(value["content"])
        elif key == "lfsFile":
            if value["oid"] not in self.blobs:
                raise HubError(400, f"LFS pointer pointed to a file that does not exist: {path}")
            files[path] = File(self.blobs[value["oid"]], lfs=True)
        elif key == "deletedFile":
            if files.pop(path, None) is None:
                raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        elif key == "deletedFolder":
            doomed = [name for name in files if name.startswith(path.rstrip("/") + "/")]
            if not doomed:
                raise HubError(404, f"A folder with this name doesn't exist: {path}", "EntryNotFound")
            for name in doomed:
                del files[name]
        else:
            raise HubError(400, f"Unknown operation in a commit: {key}")

    def _add(self, parent: Commit | None, files: dict[str, File], title: str, author: str, message: str = "") -> str:
        # The serial number keeps two equal commits apart, as their times do in git.
        text = [str(next(self._serial)), parent.oid if parent else "", title, message, author]
        text += [f"{path} {file.blob_id}" for path, file in sorted(files.items())]
        oid = hashlib.sha1("\0".join(text).encode()).hexdigest()
        self.commits[oid] = Commit(oid, parent, files, title, message, author, now())
        return oid
