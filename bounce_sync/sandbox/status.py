"""What tests and people may know about a running sandbox, and no real service would tell.

``GET`` of :data:`PATH`, on either port and outside all faults, answers::

    {"faults": [{…the entry…, "applied": 3}],
     "crm_writes": [{"id", "at", "object", "record_id", "field", "before", "after",
                     "header_auto_assign", "api"}, …]}

``?after=ID`` leaves out the writes up to that id, ``?limit=N`` gives the first N of the rest
(10,000 where it isn't given).
"""

from __future__ import annotations

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bounce_sync.sandbox.faults import Faults
from bounce_sync.sandbox.store import Store

PATH = "/sandbox/status"
LIMIT = 10_000


class StatusPage:
    """ASGI middleware that answers :data:`PATH` and hands everything else on."""

    def __init__(self, app: ASGIApp, store: Store, faults: Faults) -> None:
        self.app = app
        self.store = store
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].rstrip("/") == PATH:
            await self._answer(QueryParams(scope["query_string"]))(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _answer(self, query: QueryParams) -> JSONResponse:
        try:
            after, limit = int(query.get("after", 0)), int(query.get("limit", LIMIT))
        except ValueError:
            return JSONResponse({"error": "after and limit are whole numbers"}, status_code=400)
        writes = self.store.execute(
            "SELECT * FROM crm_write WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return JSONResponse(
            {"faults": self.faults.counts(), "crm_writes": [dict(row) for row in writes]}
        )
