"""A service that answers what a test tells it, for answers that the sandbox would never give."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PARTNER = "http://exacttarget.com/wsdl/partnerAPI"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

Answer = bytes | tuple[int, bytes] | tuple[int, bytes, dict[str, str]]
Script = Callable[[str, str, bytes], Answer]
"""(method, path, body) → body, or status and body, and headers."""


def envelope(
    rows: str = "", status: str = "OK", request_id: str = "r-1", prolog: str = ""
) -> bytes:
    """A RetrieveResponse around these rows."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{prolog}'
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
        f'xmlns:xsi="{XSI}"><soap:Body><RetrieveResponseMsg xmlns="{PARTNER}">'
        f"<OverallStatus>{status}</OverallStatus><RequestID>{request_id}</RequestID>"
        f"{rows}</RetrieveResponseMsg></soap:Body></soap:Envelope>"
    ).encode()


def row(kind: str = "BounceEvent", raw: str = "", **values: str | None) -> str:
    """A row: values as they are in XML; None leaves the element out."""
    usual = {
        "BounceEvent": {
            "SendID": "1",
            "SubscriberKey": "k",
            "EventDate": "2026-06-15T12:00:00.5",
            "SMTPCode": "550",
            "BounceCategory": "Hard bounce",
            "SMTPReason": "gone",
        },
        "Subscriber": {"EmailAddress": "ann@mail.example", "SubscriberKey": "k", "Status": "Held"},
    }[kind]
    inside = "".join(
        f"<{name}>{value}</{name}>" for name, value in (usual | values).items() if value is not None
    )
    return f'<Results xsi:type="{kind}"><PartnerKey xsi:nil="true" />{inside}{raw}</Results>'


@contextmanager
def scripted(script: Script, token: Any = None) -> Iterator[str]:
    """Serves tokens and what `script` says; gives the address, without a slash at its end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/v2/token" and script is not token:
                told: Answer = self.token()
            else:
                told = script(self.command, self.path, body)
            status, content, headers = (
                (200, told, {}) if isinstance(told, bytes) else (*told, {})[:3]
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def token(self) -> Answer:
            base = f"http://127.0.0.1:{self.server.server_address[1]}/"
            usual = {
                "access_token": "the-token",
                "token_type": "Bearer",
                "expires_in": 1079,
                "soap_instance_url": base,
                "rest_instance_url": base,
            }
            return json.dumps(usual | (token or {})).encode()

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 (http.server's own names)

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
