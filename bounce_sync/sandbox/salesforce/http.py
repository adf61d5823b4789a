"""A request, an answer, and the table of addresses, apart from any web framework.

Composite and Batch run their subrequests through the same table, so what a handler gets must not
depend on how the request arrived.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from bounce_sync.sandbox.salesforce.errors import ServiceError, bad_json, not_found

if TYPE_CHECKING:
    from bounce_sync.sandbox.salesforce.service import Service
    from bounce_sync.sandbox.salesforce.sessions import Session

JSON = "application/json;charset=UTF-8"
CSV = "text/csv"
XML = "text/xml;charset=UTF-8"


def no_fault(_: str) -> None:
    """Where no fault was drawn."""


@dataclass(frozen=True)
class Call:
    """One request: ``path`` as it was sent but for a trailing slash, header names lower-case.

    ``take`` asks for the request's fault of a kind (:func:`bounce_sync.sandbox.faults.take`).
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    session: Session | None = None
    take: Callable[[str], Any] = no_fault

    def by(self, session: Session) -> Call:
        """The same call of a known user."""
        return replace(self, session=session)

    @property
    def user(self) -> Session:
        """Who is asking; the table let nobody else through."""
        assert self.session is not None  # noqa: S101
        return self.session

    @property
    def version(self) -> str:
        """``62.0`` of ``/services/data/v62.0/…``."""
        return self.path.split("/")[3].lstrip("v")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ServiceError: 400 JSON_PARSER_ERROR.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            where = (
                f"at [line:{error.lineno}, column:{error.colno}]"
                if isinstance(error, json.JSONDecodeError)
                else ""
            )
            raise bad_json(f"Unexpected character in the request body {where}".strip()) from None

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object."""
        found = self.json()
        if not isinstance(found, dict):
            raise bad_json("The HTTP entity body is required to be a JSON object")
        return found

    def form(self) -> dict[str, str]:
        """The body as a web form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


def subrequest(call: Call, method: str, url: str, headers: Mapping[str, str], body: Any) -> Call:
    """A call inside a call: same user, its own address, headers and JSON body."""
    parts = urlsplit(url)
    return replace(
        call,
        method=method.upper(),
        path=parts.path.rstrip("/"),
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.lower(): str(value) for name, value in headers.items()},
        body=b"" if body is None else json.dumps(body).encode(),
    )


@dataclass
class Answer:
    """One answer: ``body`` is JSON unless it is text or bytes, None is an empty body."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media: str = JSON

    def content(self) -> bytes:
        """The bytes to send."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str) and self.media != JSON:
            return self.body.encode()
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


Handler = Callable[..., Answer]


@dataclass(frozen=True)
class Route:
    """One address: ``{name}`` in ``path`` matches one segment and becomes an argument, ``{}`` is
    any one segment."""

    method: str
    path: str
    handler: Handler
    open: bool

    @property
    def pattern(self) -> re.Pattern[str]:
        expression = re.escape(self.path).replace(r"\{\}", "[^/]+")
        expression = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", expression)
        return re.compile(expression, re.IGNORECASE)


class Routes:
    """Addresses of one module; ``Table`` joins them."""

    def __init__(self) -> None:
        self.found: list[Route] = []

    def __call__(
        self,
        method: str,
        path: str,
        *,
        open: bool = False,  # noqa: A002
    ) -> Callable[[Handler], Handler]:
        """Registers a handler; ``open`` ones need no session."""

        def register(handler: Handler) -> Handler:
            self.found.append(Route(method, path, handler, open))
            return handler

        return register


DATA = "/services/data/v{}"
"""Where the versions' resources stand; a handler finds its version in the call."""


class Table:
    """Which handler answers which address."""

    def __init__(self, *modules: Routes) -> None:
        self._entries = [(route, route.pattern) for routes in modules for route in routes.found]

    def find(self, call: Call) -> tuple[Route, dict[str, str]]:
        """The route of a call and its arguments.

        Raises:
            ServiceError: 404 for an unknown address, 405 for a method it doesn't have.
        """
        allowed: list[str] = []
        for route, pattern in self._entries:
            match = pattern.fullmatch(call.path)
            if match is None:
                continue
            if route.method == call.method or (call.method, route.method) == ("HEAD", "GET"):
                return route, {name: unquote(text) for name, text in match.groupdict().items()}
            allowed.append(route.method)
        if allowed:
            raise ServiceError(
                405,
                "METHOD_NOT_ALLOWED",
                f"HTTP Method '{call.method}' not allowed. Allowed are {','.join(allowed)}",
            )
        raise not_found()

    def answer(self, service: Service, call: Call) -> Answer:
        """Runs the handler of a call that has its session."""
        route, arguments = self.find(call)
        return route.handler(service, call, **arguments)
