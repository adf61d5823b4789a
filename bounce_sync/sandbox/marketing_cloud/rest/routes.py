"""Every REST path that is served: method, path, the scope it needs (if any), what answers it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.rest import automations, platform, queries, rows, rowset
from bounce_sync.sandbox.marketing_cloud.rest.requests import Asked, RestError, Said, not_found

Handler = Callable[[Call, Asked], Said]


@dataclass(frozen=True)
class Route:
    method: str
    path: re.Pattern[str]
    scope: str
    handler: Handler


def route(method: str, path: str, scope: str, handler: Handler) -> Route:
    """`{name}` in a path is one part of it, given to the handler as it was written."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return Route(method, re.compile(pattern, re.IGNORECASE), scope, handler)


_ROWSET = "/data/v1/customobjectdata"
_ROWS = "/hub/v1/dataevents/{which}"
_ASYNC = "/data/v1/async"
_QUERIES = "/automation/v1/queries"
_OBJECTS = "/data/v1/customobjects"
_AUTOMATIONS = "/automation/v1/automations"
_JOURNEYS = "/interaction/v1"
_READ, _WRITE = "data_extensions_read", "data_extensions_write"
_SEE, _CHANGE, _DO = "automations_read", "automations_write", "automations_execute"

ROUTES: tuple[Route, ...] = (
    route("GET", "/platform/v1/tokenContext", "", platform.token_context),
    route("GET", _ROWSET + "/key/{key}/rowset", _READ, rowset.by_key),
    route("GET", _ROWSET + "/token/{token}/rowset", _READ, rowset.by_token),
    route("POST", _ROWS + "/rowset", _WRITE, rows.upsert_rowset),
    route("PUT", _ROWS + "/rows/{keys}", _WRITE, rows.upsert_row),
    route("POST", _ASYNC + "/dataextensions/{which}/rows", _WRITE, rows.insert_async),
    route("PUT", _ASYNC + "/dataextensions/{which}/rows", _WRITE, rows.upsert_async),
    route("GET", _ASYNC + "/{request}/status", _READ, rows.async_status),
    route("GET", _ASYNC + "/{request}/results", _READ, rows.async_results),
    route("GET", _QUERIES, _SEE, queries.listed),
    route("POST", _QUERIES, _CHANGE, queries.created),
    route("POST", _QUERIES + "/actions/validate", _SEE, queries.validated),
    route("GET", _QUERIES + "/{id}", _SEE, queries.fetched),
    route("PATCH", _QUERIES + "/{id}", _CHANGE, queries.changed),
    route("DELETE", _QUERIES + "/{id}", _CHANGE, queries.deleted),
    route("POST", _QUERIES + "/{id}/actions/start", _DO, queries.started),
    route("GET", _QUERIES + "/{id}/actions/isrunning", _SEE, queries.running),
    route("GET", _QUERIES + "/{id}/log", _SEE, queries.log),
    route("POST", _OBJECTS + "/{id}/cleardata", _WRITE, rows.clear),
    route("GET", _AUTOMATIONS, _SEE, automations.listed),
    route("POST", _AUTOMATIONS, _CHANGE, automations.created),
    route("GET", _AUTOMATIONS + "/instance/{instance}", _SEE, automations.instance),
    route("GET", _AUTOMATIONS + "/{id}", _SEE, automations.fetched),
    route("PATCH", _AUTOMATIONS + "/{id}", _CHANGE, automations.changed),
    route("POST", _AUTOMATIONS + "/{id}/actions/runallonce", _DO, automations.run_once),
    route("POST", _AUTOMATIONS + "/{id}/actions/start", _DO, automations.start),
    route("POST", _JOURNEYS + "/events", "journeys_execute", automations.event),
    route("GET", _JOURNEYS + "/interactions", "journeys_read", automations.interactions),
    route("GET", _JOURNEYS + "/interactions/{which}", "journeys_read", automations.interaction),
)


def answer(call: Call, method: str, path: str, query: dict[str, str], body: bytes) -> Said:
    """Raises RestError: 404 for an unknown path, 403 before anything is looked up without scope."""
    for known in ROUTES:
        found = known.path.fullmatch(path)
        if found is None or known.method != method:
            continue
        if known.scope and not call.caller.may(known.scope):
            raise RestError(403, 20000, "Insufficient privileges to complete this action.")
        return known.handler(call, Asked(found.groupdict(), query, body))
    raise not_found(gap=True)
