"""A real HTTP server on loopback that answers what a test tells it to, and keeps what it was sent.

For the answers that no sandbox can be asked for one by one: every error code, bodies that lie about
their length, pages that don't add up.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN_PATH = "/services/oauth2/token"
ORG_ID = "00D000000000001EAA"
USER_ID = "005000000000001AAA"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class Reply:
    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    """Closes the connection instead of answering."""
    cut: int | None = None
    """Sends only so many bytes of the body that it announces."""

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


def refusal(status: int, code: str, message: str = "said so", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([{"errorCode": code, "message": message}], status, named)


EXPIRED = refusal(401, "INVALID_SESSION_ID", "Session expired or invalid")

Handler = Callable[[Request], Reply]


class ScriptedOrg:
    """Answers from `script`, in order, then from `handler`; tokens unless the script is told."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.logins: list[Request] = []
        self.script: list[Reply] = []
        self.login_script: list[Reply] = []
        self.handler: Handler = lambda request: refusal(404, "NOT_FOUND")
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Reply:
        with self._lock:
            if request.path == TOKEN_PATH:
                self.logins.append(request)
                if self.login_script:
                    return self.login_script.pop(0)
                return self.token(f"token-{len(self.logins)}")
            self.requests.append(request)
            if self.script:
                return self.script.pop(0)
        return self.handler(request)

    def token(self, bearer: str) -> Reply:
        return Reply(
            {
                "access_token": bearer,
                "instance_url": self.url,
                "id": f"https://login.example/id/{ORG_ID}/{USER_ID}",
                "token_type": "Bearer",
            }
        )


@contextmanager
def serve() -> Iterator[ScriptedOrg]:
    org = ScriptedOrg()

    class Serve(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            request = Request(
                self.command, parts.path, parse_qs(parts.query), dict(self.headers), body
            )
            reply = org.answer(request)
            if reply.drop:
                self.close_connection = True
                return
            content = reply.content
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(content)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: reply.cut])
            if reply.cut is not None:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Keeps the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    org.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield org
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
