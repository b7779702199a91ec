"""The HTTP side of the local Hub: sockets, the request log, and faults on demand."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from .storage import HubError


@dataclass
class Request:
    """One request as it arrived and the status it was answered with (0: the connection was cut)."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    host: str = ""
    raw_path: str = field(default="", repr=False)
    body: bytes = field(default=b"", repr=False)
    status: int = 0

    @property
    def token(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None

    def json(self) -> dict:
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise HubError(400, "Invalid JSON body") from None
        if not isinstance(value, dict):
            raise HubError(400, "The body must be a JSON object")
        return value


@dataclass
class Response:
    """An answer; a `dict` or `list` body travels as JSON."""

    status: int = 200
    body: bytes | dict | list = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_error(cls, error: HubError) -> Response:
        # HTTP headers are Latin-1; the message in the JSON body stays whole.
        headers = {"X-Error-Message": error.message.encode("ascii", "replace").decode().replace("\n", " ")}
        if error.code:
            headers["X-Error-Code"] = error.code
        return cls(error.status, {"error": error.message}, headers | error.headers)


@dataclass
class Fault:
    """What to do to the next requests that match."""

    method: str
    pattern: re.Pattern
    times: int | None
    error: HubError | None = None
    cut_after: int | None = None
    seconds: float = 0.0

    def matches(self, request: Request) -> bool:
        return self.times != 0 and self.method in ("*", request.method) and bool(self.pattern.search(request.path))


class Server:
    """Serves `answer(request)` on a free loopback port, in threads."""

    def __init__(self, answer: Callable[[Request], Response]):
        self.answer = answer
        self.requests: list[Request] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._stopped = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every open connection: from now on there is no Hub. Harmless when repeated."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def fail_next(
        self,
        method: str,
        path_regex: str,
        status: int = 500,
        times: int | None = 1,
        message: str = "Internal Error - We're working hard to fix this as soon as possible!",
        **headers: str,
    ) -> None:
        """Answer the next `times` matching requests (all for `None`) with an error, before they take effect.

        `method` is `"*"` for any; `path_regex` is searched for in the unquoted path; header names use `_` for `-`.
        """
        self._faults.append(Fault(method, re.compile(path_regex), times, HubError(status, message, **headers)))

    def cut_next(self, method: str, path_regex: str, after_bytes: int | None = None, times: int | None = 1) -> None:
        """Cut the connection: after so many bytes of the answer's body, or before any answer for `None`.

        The request has taken effect by then, so a cut commit is one whose answer was lost.
        """
        cut_after = -1 if after_bytes is None else after_bytes
        self._faults.append(Fault(method, re.compile(path_regex), times, cut_after=cut_after))

    def delay(self, path_regex: str, seconds: float, times: int | None = None) -> None:
        """Let matching requests wait before they are answered."""
        self._faults.append(Fault("*", re.compile(path_regex), times, seconds=seconds))

    def heal(self) -> None:
        """Forget all faults and delays."""
        with self._lock:
            self._faults.clear()

    def seen(self, method: str, path_regex: str) -> list[Request]:
        """The logged requests of this method (`"*"`: any) whose path contains the expression."""
        return [r for r in self.requests if method in ("*", r.method) and re.search(path_regex, r.path)]

    def respond(self, request: Request) -> tuple[Response, int | None]:
        """The answer, and after how many bytes to cut it (`None`: never)."""
        with self._lock:
            due = [fault for fault in self._faults if fault.matches(request)]
            failing = next((fault for fault in due if fault.error), None)
            # A request that fails leaves a waiting cut for the next one.
            cutting = None if failing else next((fault for fault in due if fault.cut_after is not None), None)
            delays = [fault for fault in due if fault.seconds]
            for fault in filter(None, [failing, cutting, *delays]):
                fault.times = fault.times if fault.times is None else fault.times - 1
        # Waiting on the event lets `stop` end a slow answer at once.
        self._stopped.wait(sum(fault.seconds for fault in delays))
        if failing:
            return Response.of_error(failing.error), None
        try:
            response = self.answer(request)
        except HubError as error:
            response = Response.of_error(error)
        except Exception:
            # A mistake of this server, or a request it was not made for: shown, and with a status that the client
            # does not try again.
            traceback.print_exc()
            response = Response.of_error(HubError(501, "The local Hub cannot answer this; see its traceback"))
        return response, cutting.cut_after if cutting else None


class _Handler(BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"
    server_version = "LocalHub"
    # Buffered, with Nagle's algorithm off: a header and a body sent apart would wait 40 ms for each other.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        with self.owner._lock:
            self.owner._connections.add(self.connection)

    def finish(self) -> None:
        with self.owner._lock:
            self.owner._connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *args) -> None:
        """Say nothing: the request log is `Server.requests`."""

    def handle(self) -> None:
        # Clients that give up, and `stop`, break connections at any point.
        with contextlib.suppress(OSError):
            super().handle()

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _serve(self) -> None:
        # Read the body first: what stays in the socket would be taken for the next request.
        body = self._read_body()
        target = urlsplit(self.path if self.command != "CONNECT" else f"//{self.path}")
        request = Request(
            method=self.command,
            path=unquote(target.path),
            query=parse_qs(target.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            # A whole URL is how clients ask a proxy for a page of another host.
            host=target.netloc,
            raw_path=target.path,
            body=body,
        )
        with self.owner._lock:
            self.owner.requests.append(request)
        response, cut_after = self.owner.respond(request)
        if cut_after == -1 or self.owner._stopped.is_set():
            self.close_connection = True
            return
        content = response.body
        headers = {"Content-Type": "application/octet-stream"} | response.headers
        if not isinstance(content, bytes):
            # A card's YAML may hold dates, which JSON does not know.
            content = json.dumps(content, default=str).encode()
            headers["Content-Type"] = "application/json; charset=utf-8"
        if cut_after is None:
            request.status = response.status
        self.close_connection = self.close_connection or cut_after is not None
        self.send_response(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if cut_after is None else content[:cut_after])
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = _serve  # noqa: N815
