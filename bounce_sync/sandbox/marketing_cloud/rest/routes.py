"""Every REST path that is served: method, path, the scope it needs, and what answers it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from bounce_sync.sandbox.marketing_cloud.calls import Call
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


ROUTES: tuple[Route, ...] = ()


def answer(call: Call, method: str, path: str, query: dict[str, str], body: bytes) -> Said:
    """Raises RestError: 404 for an unknown path, 403 before anything is looked up without scope."""
    for known in ROUTES:
        found = known.path.fullmatch(path)
        if found is None or known.method != method:
            continue
        if not call.caller.may(known.scope):
            raise RestError(403, 20000, "Insufficient privileges to complete this action.")
        return known.handler(call, Asked(found.groupdict(), query, body))
    raise not_found(gap=True)
