"""Who is told: a web hook and a mail server of our own, each keeping what it was sent."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "operators", "correct-horse-battery"


@dataclass
class Inbox:
    """What one receiver was sent, as title and body."""

    messages: list[tuple[str, str]] = field(default_factory=list)

    def about(self, words: str) -> list[tuple[str, str]]:
        return [each for each in self.messages if words in each[0] + each[1]]


class WebHook:
    """Takes JSON on one port; can be down for a while."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self._server = self._serve(0)
        self.port = self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def start(self) -> None:
        self._server = self._serve(self.port)

    def _serve(self, port: int) -> ThreadingHTTPServer:
        inbox = self.inbox

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                inbox.messages.append((sent["title"], sent["message"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server


@contextlib.contextmanager
def web_hook() -> Iterator[WebHook]:
    hook = WebHook()
    try:
        yield hook
    finally:
        hook.stop()


@dataclass
class MailServer:
    """Takes mail from who starts TLS and knows the password."""

    inbox: Inbox
    port: int
    ca: trustme.CA


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    ca = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    inbox = Inbox()

    class Handler:
        async def handle_DATA(  # noqa: N802 (aiosmtpd's name)
            self, _server: SMTP, _session: Any, envelope: Any
        ) -> str:
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            body = mail.get_body(("plain", "html"))
            assert body is not None
            inbox.messages.append((str(mail["Subject"]), body.get_content()))
            return "250 OK"

    def authenticated(_server: SMTP, _session: Any, _envelope: Any, _how: str, who: Any) -> Any:
        known = isinstance(who, LoginPassword) and who == LoginPassword(
            USER.encode(), PASSWORD.encode()
        )
        return AuthResult(success=known)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=port,
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticated,
    )
    controller.start()
    try:
        yield MailServer(inbox, port, ca)
    finally:
        controller.stop()
