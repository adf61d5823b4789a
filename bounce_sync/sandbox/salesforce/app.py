"""The CRM as an ASGI application.

Every request is read whole, answered by a handler in a worker thread, and shows in
``Sforce-Limit-Info``. What no handler knows is answered in the service's words and named on
standard error, so that a gap is seen.
"""

from __future__ import annotations

import gzip
import traceback
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from bounce_sync.sandbox import faults
from bounce_sync.sandbox.salesforce import (
    bulk_one,
    collections,
    composite,
    describe,
    identity,
    limits,
    oauth,
    queries,
    soap,
    sobjects,
)
from bounce_sync.sandbox.salesforce.bulk import engine
from bounce_sync.sandbox.salesforce.bulk import ingest as bulk_ingest
from bounce_sync.sandbox.salesforce.bulk import query as bulk_query
from bounce_sync.sandbox.salesforce.cursors import Cursors
from bounce_sync.sandbox.salesforce.errors import ServiceError, bad_json, session_expired
from bounce_sync.sandbox.salesforce.http import Answer, Call, Table
from bounce_sync.sandbox.salesforce.service import (
    FIRST_VERSION,
    LAST_VERSION,
    Service,
    limit_exceeded,
    report_gap,
)
from bounce_sync.sandbox.salesforce.sessions import Session, Sessions
from bounce_sync.sandbox.salesforce.setup import metadata, tooling
from bounce_sync.sandbox.salesforce.setup.objects import prepare

if TYPE_CHECKING:
    from bounce_sync.sandbox.store import Store

LONGEST_URI = 16_384
UNEXPECTED = "An unexpected error occurred. Please include this ErrorId if you contact support."

TABLE = Table(
    oauth.routes,
    identity.routes,
    queries.routes,
    collections.routes,
    composite.routes,
    describe.routes,
    sobjects.routes,
    limits.routes,
    bulk_ingest.routes,
    bulk_query.routes,
    tooling.routes,
    metadata.routes,
    soap.routes,
    bulk_one.routes,
)


def application(store: Store, base_url: str) -> Starlette:
    """The app over an opened store; ``base_url`` is its own address, which tokens name."""
    prepare(store)
    service = Service(store, base_url.rstrip("/"), Sessions(store), Cursors(), TABLE)
    store.before_close(lambda: engine.stop(service))
    engine.resume(service)
    app = Starlette(routes=[Mount("/", app=_Endpoint(service))])
    app.state.service = service
    return app


def service_of(app: Starlette) -> Service:
    """What the handlers of an application share, for whoever runs it in its own process."""
    found: Service = app.state.service
    return found


class _Endpoint:
    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        answer = await run_in_threadpool(self.answer, request, body)
        response = Response(answer.content(), answer.status, answer.headers)
        if answer.body is not None:
            response.headers["Content-Type"] = answer.media
        await response(scope, receive, send)

    def answer(self, request: Request, body: bytes) -> Answer:
        """Runs in a worker thread."""
        call = _call(request, body)
        answer = self._answer(request, call)
        if call.path.startswith("/services/data/"):
            used, limit = self.service.usage()
            answer.headers["Sforce-Limit-Info"] = f"api-usage={used}/{limit}"
        return answer

    def _answer(self, request: Request, call: Call) -> Answer:
        try:
            _check_size(request)
            _check_version(call)
            call = _unpacked(call)
            route, arguments = TABLE.find(call)
            if not route.open:
                call = self._with_session(call)
            return route.handler(self.service, call, **arguments)
        except ServiceError as error:
            report_gap(call, error)
            return Answer(error.body(), error.status)
        except Exception:  # a mistake of this sandbox: shown, and answered as the service would
            traceback.print_exc()
            return Answer([{"errorCode": "UNKNOWN_EXCEPTION", "message": UNEXPECTED}], 500)

    def _with_session(self, call: Call) -> Call:
        session = self._session(call)
        if call.take("daily_limit"):
            raise limit_exceeded()
        if call.path.startswith("/services/data/"):
            if self.service.lacks("ApiEnabled"):
                raise ServiceError(
                    403,
                    "API_DISABLED_FOR_ORG",
                    "API is not enabled for this Organization or Partner",
                )
            self.service.count()
        return call.by(session)

    def _session(self, call: Call) -> Session:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "oauth"):
            token = call.query.get("oauth_token", "")
        if call.take("expire_token"):
            self.service.sessions.end(token.strip())
        session = self.service.sessions.find(token.strip())
        if session is None:
            raise session_expired()
        return session


def _call(request: Request, body: bytes) -> Call:
    query = request.scope["query_string"].decode("latin-1")
    return Call(
        request.method,
        request.scope["raw_path"].decode("latin-1").rstrip("/") or "/",
        dict(parse_qsl(query, keep_blank_values=True)),
        dict(request.headers),
        body,
        take=lambda kind: faults.take(request.scope, kind),
    )


def _unpacked(call: Call) -> Call:
    if call.headers.get("content-encoding", "").lower() != "gzip":
        return call
    try:
        return replace(call, body=gzip.decompress(call.body))
    except (OSError, EOFError, zlib.error):
        raise bad_json("The request body is no gzip stream") from None


def _check_size(request: Request) -> None:
    """URIs beyond 16,384 bytes are refused, and URI and headers together (facts §4)."""
    uri = len(request.scope["raw_path"]) + 1 + len(request.scope["query_string"])
    if uri > LONGEST_URI:
        raise ServiceError(414, "URI_TOO_LONG", "The URI exceeds the 16,384-byte limit")
    if uri + sum(len(k) + len(v) + 4 for k, v in request.scope["headers"]) > LONGEST_URI:
        raise ServiceError(
            431, "REQUEST_HEADER_FIELDS_TOO_LARGE", "The URI and headers exceed 16,384 bytes"
        )


def _check_version(call: Call) -> None:
    if not call.path.startswith("/services/data/v"):
        return
    try:
        number = float(call.version)
    except ValueError:
        return
    if 20 < number < FIRST_VERSION:
        raise ServiceError(410, "UNSUPPORTED_API_VERSION", f"API version {number} is retired")
    if not FIRST_VERSION <= number <= LAST_VERSION or not number.is_integer():
        raise ServiceError(404, "NOT_FOUND", "The requested resource does not exist")
