"""Faults on purpose: what networks and services do to a client, seeded and counted.

A faults file (design §6) is a seed and a list of entries::

    {"seed": 7, "faults": [{"service": "salesforce", "path": "/services/data/*", "kind": "status",
                            "share": 0.05, "times": 20, "status": 503, "retry_after": 5}]}

``service`` is ``salesforce`` or ``marketing_cloud`` (absent: both), ``path`` a glob on the
request's path without its query, in any case (absent: every path), ``share`` the part of the
matching requests that it strikes (1), ``times`` how often it does so at most (no bound). For each
request the entries are asked in their order; the first that matches and draws is the request's
fault. Each entry has random numbers of its own, so that the n-th request that it is asked about
always meets the same fate.

Faults of the wire are carried out here, whatever the service is:

=================  =================================================================================
``latency``        waits ``ms`` before the request reaches the service; with ``spread`` > 0 the
                   waiting times are log-normal around ``ms`` (1.0 has a long tail)
``status``         answers ``status`` with the service's own error, and ``Retry-After`` where
                   ``retry_after`` is given; the service never sees the request
``drop_before``    closes the connection; the service never sees the request
``drop_after``     the request takes effect, then the connection is closed without an answer
``truncate``       half of the answer's body, then the connection is closed
``garble``         the answer with bytes in its body that no UTF-8 has
=================  =================================================================================

The others need the service's help. The app asks, at the point where the fault would happen::

    fault = faults.take(request.scope, "lock_rows")   # None, or the entry to be acted out

It is counted, and uses up one of its ``times``, only when it is taken: an entry that draws on a
request where it can't happen (``lock_rows`` on a query) does nothing there.

===================  ===============================================================================
``expire_token``     the request's token has just expired: forget it and answer accordingly
``lock_rows``        the records of this write are locked: each of them (in a Collection, those of
                     its first Account) answers ``UNABLE_TO_LOCK_ROW``
``job_failed``       Salesforce: the Bulk job that this request starts (``UploadComplete``) ends
                     ``Failed`` half-way; SFMC: the query or automation that it starts fails
``unprocessed``      the Bulk job that this request starts ends ``JobComplete`` and leaves its
                     second half unprocessed
``daily_limit``      the day's API calls are used up: ``REQUEST_LIMIT_EXCEEDED``, 403
``query_timeout``    the Retrieve or SOQL statement took too long
``late_events``      this read doesn't see the events of the last ``minutes`` (60) yet
===================  ===============================================================================

What was applied is counted per entry; :meth:`Faults.counts` is what ``status_url`` shows.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bounce_sync.sandbox.store import SandboxError

WIRE = ("latency", "status", "drop_before", "drop_after", "truncate", "garble")
SERVICE = (
    "expire_token",
    "lock_rows",
    "job_failed",
    "unprocessed",
    "daily_limit",
    "query_timeout",
    "late_events",
)
SERVICES = ("marketing_cloud", "salesforce")
TOKEN_PATHS = ("/v2/token", "/services/oauth2/token")
TRANSPORT = "bounce_sync.transport"
"""Where in ``scope["extensions"]`` the server puts the connection, so that it can be dropped."""

Number: TypeAlias = float | int


@dataclass
class Fault:
    """One entry of the faults file, and how often it was applied."""

    kind: str
    service: str | None = None
    path: str = "*"
    share: Number = 1.0
    times: int | None = None
    ms: Number = 0
    spread: Number = 0.0
    status: int = 503
    retry_after: int | None = None
    minutes: int = 60
    applied: int = 0
    random: random.Random = field(default_factory=random.Random, repr=False)
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def spent(self) -> bool:
        """Whether its ``times`` are used up."""
        return self.times is not None and self.applied >= self.times

    def matches(self, service: str, path: str) -> bool:
        """Whether it is about this service and path."""
        return self.service in (None, service) and fnmatchcase(path.lower(), self.path.lower())

    def wait(self) -> float:
        """Seconds that a latency takes this time."""
        factor = self.random.lognormvariate(0, self.spread) if self.spread else 1.0
        return self.ms * factor / 1000


class Faults:
    """A faults file at work; threads may share it."""

    def __init__(self, entries: list[Fault], seed: int = 0) -> None:
        self.entries = entries
        self._guard = threading.Lock()
        for number, entry in enumerate(entries):
            entry.random.seed(f"{seed}/{number}")

    @classmethod
    def load(cls, path: Path | str) -> Faults:
        """Reads a faults file; raises SandboxError that names everything wrong in it."""
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise SandboxError(f"{path} can't be read as a faults file: {error}") from error
        return cls.parse(document, str(path))

    @classmethod
    def parse(cls, document: Any, name: str = "the faults") -> Faults:
        """The same from the JSON document."""
        if not isinstance(document, dict) or not isinstance(document.get("faults", []), list):
            raise SandboxError(f'{name}: expected {{"seed": …, "faults": […]}}')
        complaints = [
            f"{key!r} isn't known (seed, faults)" for key in document.keys() - {"seed", "faults"}
        ]
        if not _is_integer(document.get("seed", 0)):
            complaints.append(f"seed is {document['seed']!r}, not a whole number")
        entries = []
        for number, given in enumerate(document.get("faults", []), 1):
            wrong = _complaints(given)
            complaints += [f"fault {number}: {complaint}" for complaint in wrong]
            if not wrong:
                entries.append(Fault(**given, given=given))
        if complaints:
            raise SandboxError("\n".join([f"{name} can't be used:", *complaints]))
        return cls(entries, document.get("seed", 0))

    def draw(self, service: str, path: str) -> Fault | None:
        """The fault of one request, or None. Nothing is counted yet."""
        with self._guard:
            for entry in self.entries:
                if (
                    entry.matches(service, path)
                    and not entry.spent
                    and entry.random.random() < entry.share
                ):
                    return entry
        return None

    def count(self, entry: Fault) -> bool:
        """Counts one application; False when another request took the last of its ``times``."""
        with self._guard:
            if entry.spent:
                return False
            entry.applied += 1
            return True

    def counts(self) -> list[dict[str, Any]]:
        """The entries as they were given, each with ``applied``."""
        with self._guard:
            return [
                {"kind": entry.kind, **entry.given, "applied": entry.applied}
                for entry in self.entries
            ]


def take(scope: Scope, kind: str) -> Fault | None:
    """For the apps: this request's fault if it is of this kind, counted; None otherwise.

    A request has at most one, and it is given once.
    """
    state = scope.get("state", {})
    entry: Fault | None = state.get("fault")
    if entry is None or entry.kind != kind:
        return None
    state["fault"] = None
    faults: Faults = state["faults"]
    return entry if faults.count(entry) else None


class FaultyWire:
    """ASGI middleware, the outermost of a service."""

    def __init__(self, app: ASGIApp, service: str, faults: Faults) -> None:
        self.app = app
        self.service = service
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = self.faults.draw(self.service, scope["path"]) if scope["type"] == "http" else None
        if entry is None:
            await self.app(scope, receive, send)
        elif entry.kind in SERVICE:
            scope["state"] = {**scope.get("state", {}), "fault": entry, "faults": self.faults}
            await self.app(scope, receive, send)
        elif self.faults.count(entry):
            await getattr(self, f"_{entry.kind}")(entry, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _latency(self, entry: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(entry.wait())
        await self.app(scope, receive, send)

    async def _status(self, entry: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await _whole_request(receive)
        content_type, body = refusal(self.service, scope["path"], entry.status, entry.retry_after)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        if entry.retry_after is not None:
            headers.append((b"retry-after", str(entry.retry_after).encode()))
        await send({"type": "http.response.start", "status": entry.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _drop_before(self, _: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await _whole_request(receive)
        await drop(scope["extensions"][TRANSPORT], receive)

    async def _drop_after(self, _: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, receive)
        await drop(scope["extensions"][TRANSPORT], receive)

    async def _truncate(self, _: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        start, body = await self._answer(scope, receive)
        await send(_with_length(start, len(body)))
        await send(
            {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
        )
        await drop(scope["extensions"][TRANSPORT], receive, flush=True)

    async def _garble(self, entry: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        start, body = await self._answer(scope, receive)
        spoiled = bytearray(body)
        for _ in range(min(len(body), 8)):
            spoiled[entry.random.randrange(len(body))] = 0xFF
        await send(_with_length(start, len(body)))
        await send({"type": "http.response.body", "body": bytes(spoiled)})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """The service's whole answer, kept back."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


async def _whole_request(receive: Receive) -> None:
    """Reads the request to its end: a client that still sends would see a reset, not the fault."""
    while (await receive()).get("more_body", False):
        pass


async def drop(transport: asyncio.Transport, receive: Receive, *, flush: bool = False) -> None:
    """Closes a connection, after what was sent has gone out (``flush``) or at once."""
    if flush:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _with_length(start: Message, length: int) -> Message:
    headers = [
        (name, value)
        for name, value in start.get("headers", [])
        if name.lower() not in (b"content-length", b"transfer-encoding")
    ]
    if start["status"] not in (204, 304):
        headers.append((b"content-length", str(length).encode()))
    return {**start, "headers": headers}


def refusal(
    service: str, path: str, status: int, retry_after: int | None = None
) -> tuple[str, bytes]:
    """Content type and body of an error of the service's edge, in that service's own shape."""
    if path.lower().rstrip("/").endswith(TOKEN_PATHS):
        document: Any = {
            "error": "temporarily_unavailable" if status >= 500 else "invalid_request",
            "error_description": "The service can't answer this now. Try again later.",
        }
    elif service == "salesforce":
        code, message = {
            401: ("INVALID_SESSION_ID", "Session expired or invalid"),
            403: ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
            429: (
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
            ),
            503: ("SERVER_UNAVAILABLE", "Server is temporarily unavailable"),
        }.get(status, ("UNKNOWN_EXCEPTION", "An unexpected error occurred."))
        document = [{"message": message, "errorCode": code}]
    elif path.lower().endswith("/service.asmx"):
        text = "Rate limit exceeded" if status == 429 else "Unplanned Outage"
        return "text/xml; charset=utf-8", (
            '<?xml version="1.0" encoding="utf-8"?>'
            '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
            f"<soap:Fault><faultcode>soap:Server</faultcode><faultstring>{text}</faultstring>"
            '<detail><apifault xmlns="urn:fault.partner.exacttarget.com"><Code>2</Code>'
            f"<Message>{text}</Message></apifault></detail></soap:Fault>"
            "</soap:Body></soap:Envelope>"
        ).encode()
    elif status == 429 and retry_after is not None:
        document = {"message": "Rate limit exceeded", "errorcode": 50100, "retryAfter": retry_after}
    elif status == 429:
        document = {"message": "Your requests are temporarily blocked.", "errorcode": 50200}
    elif status == 401:
        document = {"message": "Not Authorized", "errorcode": 0}
    else:
        document = {"message": "An unexpected error occurred.", "errorcode": status}
    if "errorcode" in document:
        document["documentation"] = "https://developer.salesforce.com/docs"
    return "application/json;charset=UTF-8", json.dumps(document).encode()


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_RULES = {
    "service": (lambda value: value in SERVICES, "salesforce or marketing_cloud"),
    "path": (lambda value: isinstance(value, str), "a text"),
    "kind": (lambda value: value in WIRE + SERVICE, "one of " + ", ".join(WIRE + SERVICE)),
    "share": (lambda value: _is_number(value) and 0 <= value <= 1, "from 0 to 1"),
    "times": (lambda value: _is_integer(value) and value >= 0, "a whole number"),
    "ms": (lambda value: _is_number(value) and value >= 0, "a number of milliseconds"),
    "spread": (lambda value: _is_number(value) and value >= 0, "a number"),
    "status": (lambda value: _is_integer(value) and 400 <= value <= 599, "from 400 to 599"),
    "retry_after": (lambda value: _is_integer(value) and value >= 0, "a whole number of seconds"),
    "minutes": (lambda value: _is_integer(value) and value > 0, "a whole number of minutes"),
}


def _complaints(given: Any) -> list[str]:
    """What is wrong with one entry, in words."""
    if not isinstance(given, dict):
        return ["isn't an object"]
    complaints = [] if "kind" in given else ["has no kind"]
    for name, value in given.items():
        if name not in _RULES:
            complaints.append(f"{name!r} isn't known ({', '.join(_RULES)})")
        elif not _RULES[name][0](value):
            complaints.append(f"{name} is {value!r}, not {_RULES[name][1]}")
    return complaints
