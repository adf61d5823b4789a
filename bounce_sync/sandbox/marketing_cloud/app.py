"""The whole service as one ASGI application: auth, SOAP and REST on one host and port.

Real tenants have three hosts; clients take the addresses of SOAP and REST from the token's
answer, so one serves as well. Paths are answered in any case, with and without a trailing slash,
and never by a redirect.
"""

import json
import traceback
from importlib import resources

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bounce_sync.sandbox.marketing_cloud import access, gaps
from bounce_sync.sandbox.marketing_cloud.automations import running
from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.rest import routes
from bounce_sync.sandbox.marketing_cloud.rest.requests import (
    DOCUMENTATION,
    JSON,
    RestError,
    Said,
    not_found,
)
from bounce_sync.sandbox.marketing_cloud.soap import service
from bounce_sync.sandbox.store import Store


def application(store: Store, base_url: str) -> ASGIApp:
    """`base_url` is where clients reach it (`https://127.0.0.1:8443`): tokens name it, with a
    slash at the end, as the address of both APIs."""
    base = base_url.rstrip("/")
    running.found(store)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        response = await run_in_threadpool(_answer, store, base, request, body)
        await response(scope, receive, send)

    return app


def _answer(store: Store, base: str, request: Request, body: bytes) -> Response:
    try:
        return _said(store, base, request, body)
    except Exception:  # the client mustn't see a failure of the sandbox's own, its author must
        traceback.print_exc()
        return _json(Said({"message": "Internal Server Error", "errorcode": 0}, 500))


def _said(store: Store, base: str, request: Request, body: bytes) -> Response:
    path = request.scope["path"].rstrip("/")
    match request.method, path.lower():
        case "POST", "/v2/token":
            return _json(_token(store, body, base))
        case "POST", "/service.asmx":
            said = service.answer(store, request.scope, body, f"{base}/Service.asmx")
            return Response(said.body, said.status, media_type=said.content_type)
        case "GET", "/etframework.wsdl":
            return Response(_wsdl(f"{base}/Service.asmx"), media_type="text/xml")
        case _:
            return _json(_rest(store, request, path, body))


def _wsdl(address: str) -> str:
    text = resources.files(service.__package__).joinpath("etframework.xml").read_text("utf-8")
    return text.replace("ADDRESS", address)


def _json(said: Said) -> Response:
    return Response(said.body, said.status, said.headers, media_type=JSON)


def _token(store: Store, body: bytes, base: str) -> Said:
    try:
        asked = json.loads(body)
    except ValueError:
        asked = None
    try:
        return Said(access.issue_token(store, asked, base))
    except access.TokenRefused as refusal:
        return Said(refusal.body, refusal.status)


def _rest(store: Store, request: Request, path: str, body: bytes) -> Said:
    query = {name.lower().lstrip("$"): value for name, value in request.query_params.items()}
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        caller = access.caller_of(
            store, token.strip() if scheme.lower() == "bearer" else "", request.scope
        )
        call = Call(store, caller, request.scope)
        return routes.answer(call, request.method, path, query, body)
    except access.Unauthorised:
        return Said(
            {"documentation": DOCUMENTATION, "errorcode": 0, "message": "Not Authorized"}, 401
        )
    except RestError as error:
        if error.gap:
            gaps.report("REST", f"{request.method} {path}: {error}")
        return Said(error.body, error.status)
    except OverflowError:
        # A number that no column of the service holds.
        return Said(not_found().body, 404)
