"""The Hub's endpoints: who may do what, and what the client reads back."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs, unquote

from . import cards, listings
from .server import Request, Response
from .storage import File, HubError, Repo


_ROUTES: list[tuple[str, re.Pattern, Callable]] = []
_REPO = r"^/api/(?P<kind>model|dataset|space)s/(?P<repo_id>[^/]+/[^/]+)"
_OLD_NAME = re.compile(
    r"/api/(?:model|dataset|space)s/[^/]+(?:/(?:revision|tree|paths-info|preupload|commit|refs)\b.*)?$"
    r"|/(?:(?:dataset|space)s/)?[^/]+/resolve/"
)
_GIT = r"^/(?:(?P<kind>dataset|space)s/)?(?P<repo_id>[^/]+/[^/]+)\.git/info/lfs"


def route(methods: str, pattern: str) -> Callable:
    """Register a method of `Api`: named groups of the pattern, unquoted, become its arguments."""

    def register(function: Callable) -> Callable:
        _ROUTES.extend((method, re.compile(pattern + "$"), function) for method in methods.split())
        return function

    return register


@dataclass(frozen=True)
class Account:
    """Whom a token stands for."""

    name: str
    organizations: tuple[str, ...] = ()
    writes: bool = True

    def owns(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.organizations


class Api:
    """Answers requests from the repositories and accounts that it holds."""

    def __init__(self, accounts: dict[str, Account]):
        self.accounts = accounts
        self.repos: dict[tuple[str, str], Repo] = {}
        self.url = ""
        self._uploads: dict[str, tuple[Repo, str, int]] = {}
        # One request at a time sees the repositories: a commit is whole or absent.
        self._lock = threading.RLock()

    def answer(self, request: Request) -> Response:
        if request.host and request.host != self.url.removeprefix("http://"):
            raise HubError(404, f"Only the local Hub can be reached, not {request.host}")
        # Segments are split before they are unquoted: a branch name may hold a quoted slash.
        for method, pattern, function in _ROUTES:
            if method == request.method and (match := pattern.match(request.raw_path)):
                arguments = {name: unquote(value) for name, value in match.groupdict(default="").items()}
                with self._lock:
                    return function(self, request, **arguments)
        if _OLD_NAME.match(request.raw_path):
            # A name without a namespace: the Hub's few old repositories of this kind are not here.
            self._find(request, "model", "")
        raise HubError(404, "Sorry, we can't find the page you are looking for.")

    # Rights

    def _account(self, request: Request) -> Account | None:
        """Whom the token stands for; `None` without a token."""
        if request.token is None:
            return None
        if request.token not in self.accounts:
            raise HubError(401, "Invalid credentials in Authorization header")
        return self.accounts[request.token]

    def _find(self, request: Request, kind: str, repo_id: str) -> Repo:
        """A repository that the sender may know of."""
        account = self._account(request)
        repo = self.repos.get((kind or "model", repo_id))
        if repo is None or (repo.private and not (account and account.owns(repo.namespace))):
            # Like the Hub, do not tell a stranger whether a private repository exists. The client reads a plain 401
            # as "not found" for https addresses only, hence the code on both.
            status, message = (404, "Repository not found") if account else (401, "Invalid username or password.")
            raise HubError(status, message, "RepoNotFound")
        return repo

    def _find_open(self, request: Request, kind: str, repo_id: str) -> Repo:
        """A repository whose files the sender may read."""
        repo, account = self._find(request, kind, repo_id), self._account(request)
        if repo.gated and not (account and account.owns(repo.namespace)):
            text = f"Access to {repo.type} {repo.id} is restricted. You must have access to it and be authenticated."
            raise HubError(403 if account else 401, text, "GatedRepo")
        return repo

    def _find_writable(self, request: Request, kind: str, repo_id: str) -> tuple[Repo, Account]:
        repo, account = self._find(request, kind, repo_id), self._account(request)
        if account is None:
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        self._check_writes(account, repo.namespace, f"write to {repo.type} {repo.id}")
        return repo, account

    @staticmethod
    def _check_writes(account: Account, namespace: str, what: str) -> None:
        if not account.writes:
            raise HubError(403, f"Forbidden: this token has no write rights, it cannot {what}")
        if not account.owns(namespace):
            raise HubError(403, f"You don't have the rights to {what}")

    # Accounts and repositories

    @route("GET", "^/api/whoami-v2")
    def whoami(self, request: Request) -> Response:
        account = self._account(request)
        if account is None:
            raise HubError(401, "Invalid username or password.")
        role = "write" if account.writes else "read"
        organizations = [{"type": "org", "name": name, "fullname": name} for name in account.organizations]
        access = {"type": "access_token", "accessToken": {"displayName": "tests", "role": role}}
        user = {"type": "user", "id": account.name, "name": account.name, "fullname": account.name, "isPro": False}
        return Response(body=user | {"orgs": organizations, "auth": access})

    @route("POST DELETE", "^/api/repos/(?P<action>create|delete)")
    def create_or_delete(self, request: Request, action: str) -> Response:
        account, wanted = self._account(request), request.json()
        if account is None:
            raise HubError(401, "Invalid username or password.")
        namespace, name = wanted.get("organization") or account.name, wanted.get("name", "")
        kind, repo_id = wanted.get("type") or "model", f"{namespace}/{name}"
        if (action == "create") != (request.method == "POST"):
            raise HubError(405, "Method not allowed")
        if action == "delete":
            self._find_writable(request, kind, repo_id)
            del self.repos[kind, repo_id]
            return Response(body={})
        if kind not in ("model", "dataset", "space") or not re.fullmatch(r"(?!.*(--|\.\.))[\w.-]{1,96}", name):
            raise HubError(400, f"Invalid repository: {kind} {repo_id}")
        self._check_writes(account, namespace, f'create a {kind} under the namespace "{namespace}"')
        url = f"{self.url}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
        if (kind, repo_id) in self.repos:
            return Response(409, {"error": f"You already created this {kind} repo", "url": url})
        private = wanted.get("visibility") == "private" or wanted.get("private") is True
        self.repos[kind, repo_id] = Repo(kind, repo_id, account.name, private)
        return Response(body={"url": url, "name": repo_id, "id": secrets.token_hex(12)})

    @route("GET", r"^/api/(?P<kind>model|dataset|space)s")
    def list_repos(self, request: Request, kind: str) -> Response:
        account, query = self._account(request), request.query
        found = []
        for repo in sorted(self.repos.values(), key=lambda repo: repo.head.date, reverse=True):
            info = listings.info(repo, repo.head)
            hidden = repo.private and not (account and account.owns(repo.namespace))
            wrong = any(author != repo.namespace for author in query.get("author", []))
            wrong |= any(text.lower() not in repo.id.lower() for text in query.get("search", []))
            wrong |= any(tag not in info["tags"] for tag in query.get("filter", []))
            if repo.type == kind and not hidden and not wrong:
                found.append(info)
        return Response(body=found[: int(query.get("limit", ["1000"])[0])])

    @route("GET", _REPO + "(?:/revision/(?P<revision>[^/]+))?")
    def info(self, request: Request, kind: str, repo_id: str, revision: str) -> Response:
        repo = self._find(request, kind, repo_id)
        info = listings.info(repo, repo.resolve(revision or "main"), blobs="blobs" in request.query)
        if expand := request.query.get("expand"):
            info = {key: value for key, value in info.items() if key in ("_id", "id", *expand)}
        return Response(body=info)

    @route("PUT", _REPO + "/settings")
    def settings(self, request: Request, kind: str, repo_id: str) -> Response:
        repo, _ = self._find_writable(request, kind, repo_id)
        wanted = request.json()
        repo.gated = wanted.get("gated", repo.gated)
        if "visibility" in wanted:
            repo.private = wanted["visibility"] == "private"
        return Response(body={"private": repo.private, "gated": repo.gated})

    @route("GET", _REPO + "/auth-check(?P<write>/write)?")
    def auth_check(self, request: Request, kind: str, repo_id: str, write: str) -> Response:
        (self._find_writable if write else self._find_open)(request, kind, repo_id)
        return Response(body={})

    # References

    @route("GET", _REPO + "/refs")
    def refs(self, request: Request, kind: str, repo_id: str) -> Response:
        repo = self._find(request, kind, repo_id)
        lists = (("branches", repo.branches, "refs/heads/"), ("tags", repo.tags, "refs/tags/"))
        body = {"converts": [], "pullRequests": []}
        for key, refs, prefix in (*lists, ("pullRequests", repo.pull_requests, "")):
            body[key] = [{"name": n, "ref": prefix + n, "targetCommit": oid} for n, oid in refs.items()]
        return Response(body=body)

    @route("POST DELETE", _REPO + "/(?P<what>branch|tag)/(?P<name>[^/]+)")
    def change_ref(self, request: Request, kind: str, repo_id: str, what: str, name: str) -> Response:
        repo, _ = self._find_writable(request, kind, repo_id)
        refs, wanted = repo.branches if what == "branch" else repo.tags, request.json()
        if request.method == "DELETE":
            if name not in refs or (what == "branch" and name == "main"):
                raise HubError(404, f"Invalid rev id: {name}", "RevisionNotFound")
            del refs[name]
            return Response(body={})
        # A branch's address holds its own name; a tag's holds the revision it is to stand on.
        target = wanted.get("startingPoint", "main") if what == "branch" else name
        name = name if what == "branch" else wanted.get("tag", "")
        if name in refs:
            raise HubError(409, f"Reference already exists: {name}")
        refs[name] = repo.resolve(target).oid
        return Response(body={})

    @route("GET", _REPO + "/commits/(?P<revision>[^/]+)")
    def commits(self, request: Request, kind: str, repo_id: str, revision: str) -> Response:
        history = self._find_open(request, kind, repo_id).resolve(revision).history()
        fields = [{"id": c.oid, "title": c.title, "message": c.message, "date": c.date} for c in history]
        return Response(body=[f | {"authors": [{"user": c.author}]} for f, c in zip(fields, history)])

    # Reading files

    @route("GET", _REPO + "/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?")
    def tree(self, request: Request, kind: str, repo_id: str, revision: str, folder: str) -> Response:
        commit = self._find(request, kind, repo_id).resolve(revision)
        recursive, expand = (request.query.get(key, ["false"])[0] == "true" for key in ("recursive", "expand"))
        if folder and not commit.below(folder):
            raise HubError(404, f'{folder} does not exist on "{revision}"', "EntryNotFound", X_Repo_Commit=commit.oid)
        return Response(body=listings.tree(commit, folder, recursive, expand))

    @route("POST", _REPO + "/paths-info/(?P<revision>[^/]+)")
    def paths_info(self, request: Request, kind: str, repo_id: str, revision: str) -> Response:
        commit = self._find(request, kind, repo_id).resolve(revision)
        as_json = "json" in request.headers.get("content-type", "")
        wanted = request.json() if as_json else parse_qs(request.body.decode())
        expand = wanted.get("expand") in (True, ["true"], ["True"])
        entries = (listings.entry(commit, path.strip("/"), expand) for path in wanted.get("paths", []))
        return Response(body=[entry for entry in entries if entry])

    @route("GET HEAD", r"^/(?:(?P<kind>dataset|space)s/)?(?P<repo_id>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)")
    def resolve(self, request: Request, kind: str, repo_id: str, rev: str, path: str) -> Response:
        commit = self._find_open(request, kind, repo_id).resolve(rev)
        if path not in commit.files:
            raise HubError(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit.oid)
        return listings.download(commit.files[path], commit.oid, request.headers.get("range"))

    # Writing files

    @route("POST", "^/api/validate-yaml")
    def validate_yaml(self, request: Request) -> Response:
        wanted = request.json()
        errors, warnings = cards.validate(wanted.get("content", ""), wanted.get("repoType", "model"))
        body = {"errors": [{"message": e} for e in errors], "warnings": [{"message": w} for w in warnings]}
        return Response(400 if errors else 200, body)

    @route("POST", _REPO + "/preupload/(?P<revision>[^/]+)")
    def preupload(self, request: Request, kind: str, repo_id: str, revision: str) -> Response:
        repo, _ = self._find_writable(request, kind, repo_id)
        wanted, present = request.json(), repo.resolve(revision).files
        answers = []
        for file in wanted.get("files", []):
            large = repo.is_large(file["path"], file["size"], present)
            old = present.get(file["path"])
            oid = old.etag if old and old.lfs == large else None
            mode = "lfs" if large else "regular"
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return Response(body={"files": answers})

    @route("POST", _GIT + "/objects/batch")
    def lfs_batch(self, request: Request, kind: str, repo_id: str) -> Response:
        repo, _ = self._find_writable(request, kind, repo_id)
        objects = []
        for item in request.json().get("objects", []):
            answer = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in repo.blobs:
                # The store is reached by signed addresses without a token, as the Hub's is.
                signature = secrets.token_hex(16)
                self._uploads[signature] = (repo, item["oid"], item["size"])
                verify = f"{self.url}/{'' if repo.type == 'model' else repo.type + 's/'}{repo.id}.git/info/lfs/verify"
                upload = f"{self.url}/lfs-store/{item['oid']}?signature={signature}"
                answer["actions"] = {"upload": {"href": upload}, "verify": {"href": verify}}
            objects.append(answer)
        return Response(body={"transfer": "basic", "objects": objects})

    @route("PUT", "^/lfs-store/(?P<oid>[0-9a-f]{64})")
    def lfs_put(self, request: Request, oid: str) -> Response:
        repo, expected, size = self._uploads.get(request.query.get("signature", [""])[0], (None, None, None))
        if repo is None or expected != oid:
            raise HubError(403, "SignatureDoesNotMatch")
        if len(request.body) != size or sha256(request.body).hexdigest() != oid:
            raise HubError(400, "BadDigest: the content is not what was announced")
        repo.blobs[oid] = request.body
        return Response()

    @route("POST", _GIT + "/verify")
    def lfs_verify(self, request: Request, kind: str, repo_id: str) -> Response:
        repo, _ = self._find_writable(request, kind, repo_id)
        wanted = request.json()
        if len(repo.blobs.get(wanted.get("oid"), b"")) != wanted.get("size"):
            raise HubError(404, f"No such object: {wanted.get('oid')}")
        return Response(body={})

    @route("POST", _REPO + "/commit/(?P<revision>[^/]+)")
    def commit(self, request: Request, kind: str, repo_id: str, revision: str) -> Response:
        repo, account = self._find_writable(request, kind, repo_id)
        try:
            lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
            operations = [(line["key"], dict(line["value"])) for line in lines]
            for key, value in operations:
                if key == "file":
                    plain = value.get("encoding", "utf-8") != "base64"
                    value["content"] = value["content"].encode() if plain else base64.b64decode(value["content"])
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise HubError(400, "A commit must be lines of JSON, each with a key and a value") from None
        for key, value in operations:
            if key == "file" and value["path"] == "README.md":
                errors, _ = cards.validate(value["content"].decode("utf-8", "replace"), repo.type)
                if errors:
                    raise HubError(400, "Invalid metadata in README.md. " + "; ".join(errors))
        new_pull_request = request.query.get("create_pr", ["0"])[0] == "1"
        oid = repo.commit(revision, operations, account.name, new_pull_request)
        url = f"{self.url}/{'' if repo.type == 'model' else repo.type + 's/'}{repo.id}"
        body = {"success": True, "commitOid": oid, "commitUrl": f"{url}/commit/{oid}", "hookOutput": ""}
        if new_pull_request:
            body["pullRequestUrl"] = f"{url}/discussions/{len(repo.pull_requests)}"
        return Response(body=body)

    def files(self, kind: str, repo_id: str, revision: str) -> dict[str, File]:
        """The files of a revision, past all rights."""
        with self._lock:
            return dict(self.repos[kind, repo_id].resolve(revision).files)
